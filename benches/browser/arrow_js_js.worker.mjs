// arrow-js with zstd and lz4 in JavaScript.

import { compressionRegistry, CompressionType } from "apache-arrow";
import { decompress } from "fzstd";
import lz4 from "lz4js";

import { answer, codec } from "./arrow_js.mjs";

compressionRegistry.set(CompressionType.LZ4_FRAME, codec((bytes) => lz4.decompress(bytes)));
compressionRegistry.set(CompressionType.ZSTD, codec((bytes) => decompress(bytes)));
postMessage("ready");

onmessage = ({ data }) => postMessage(answer(data));
