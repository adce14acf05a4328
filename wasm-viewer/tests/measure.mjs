// How long the page takes, measured inside it.

/**
 * Milliseconds from a file's bytes being dropped on the page until its first rows are painted. The
 * file is one that the page's host has; to fetch it is not counted.
 */
export function firstPaint(page, name) {
  return page.evaluate(async (name) => {
    const bytes = await (await fetch(`data/${name}`)).arrayBuffer();
    delete document.body.dataset.painted;
    const painted = new Promise((resolve) => {
      const seen = () => document.body.dataset.painted && resolve();
      new MutationObserver(seen).observe(document.body, { attributes: true });
    });
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name));
    const start = performance.now();
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    await painted;
    // A task behind the next frame: the frame is painted.
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return performance.now() - start;
  }, name);
}

/** From the next navigation on, keeps how long tasks of the page's own thread take. */
export function watchTasks(page) {
  return page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask", buffered: true });
  });
}

/** Milliseconds of the longest task so far, 0 where none took 50, and since the page began. */
export const tasks = (page) => page.evaluate(() => ({ longest: Math.max(0, ...window.longTasks), whole: performance.now() }));
