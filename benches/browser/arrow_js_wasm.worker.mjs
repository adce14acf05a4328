// arrow-js with zstd's own code compiled to wasm, which is no JavaScript, and lz4 in JavaScript.

import { compressionRegistry, CompressionType } from "apache-arrow";
import { decompress, init } from "@bokuweb/zstd-wasm";
import lz4 from "lz4js";

import { answer, codec } from "./arrow_js.mjs";

compressionRegistry.set(CompressionType.LZ4_FRAME, codec((bytes) => lz4.decompress(bytes)));
compressionRegistry.set(CompressionType.ZSTD, codec((bytes) => decompress(bytes)));
init("/bench/zstd.wasm").then(() => postMessage("ready"));

onmessage = ({ data }) => postMessage(answer(data));
