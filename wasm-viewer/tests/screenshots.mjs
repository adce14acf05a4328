// The pictures in the README, made again: `cargo xtask viewer-test --screenshots`.

import path from "node:path";

import { cells, fixture, launch, newPage, pick, serve } from "./helpers.mjs";

const FOLDER = path.join(import.meta.dirname, "../screenshots");

const fleet = () => Buffer.from(fixture("fleet.arrows"));

/** Cut short, and with a frame of `disk.read` in the first batch that is none. */
function damagedFleet() {
  const bytes = fleet();
  bytes.fill(0xee, 85_300, 85_700);
  return bytes.subarray(0, 390_000);
}

const PICTURES = [
  { name: "columns-rows-bytes", colorScheme: "light", file: "fleet.arrows", bytes: fleet, focus: () => {} },
  { name: "one-click-to-the-bytes", colorScheme: "dark", file: "fleet.arrows", bytes: fleet, focus: (page) => page.locator("#column-4 button").click() },
  { name: "damage-located", colorScheme: "dark", file: "damaged.arrows", bytes: damagedFleet, focus: (page) => page.locator("#verdict li button").first().click() },
];

const server = await serve();
const browser = await launch();
try {
  for (const { name, colorScheme, file, bytes, focus } of PICTURES) {
    const page = await newPage(browser, { colorScheme });
    await page.goto(server.url);
    await pick(page, file, bytes());
    await focus(page);
    await cells(page);
    // Nothing that blinks or points.
    await page.mouse.move(0, 0);
    await page.screenshot({ path: path.join(FOLDER, `${name}.png`), animations: "disabled", caret: "hide" });
    if (page.faults.length) throw new Error(page.faults.join("\n"));
    await page.context().close();
    console.log(`${name}.png`);
  }
} finally {
  await browser.close();
  server.end();
}
