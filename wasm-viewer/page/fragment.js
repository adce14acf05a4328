// What is open and in focus, behind the mark of the address: it can be shared, and no server sees it.

const read = () => new URLSearchParams(location.hash.slice(1));

export const fragment = {
  get: (name) => read().get(name),
  /** Sets some of it; null takes out. */
  set(changes) {
    const now = read();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) now.delete(name);
      else now.set(name, value);
    }
    const text = now.toString();
    if (text === read().toString()) return;
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  },
};
