// Damage as the mutation tests of `core` do it, and what may never come of it. In Node and in a browser.

/** Copies of a payload with bytes changed, cut short, or with two messages swapped or one repeated: the same each run. */
export function* damaged(bytes, n, messages = []) {
  let seed = 1;
  const random = (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    // The low bits of such numbers take turns.
    return (seed >>> 8) % below;
  };
  const part = ([start, end]) => bytes.subarray(start, end);
  for (let i = 0; i < n; i++) {
    const at = random(bytes.length);
    const one = random(Math.max(messages.length - 1, 1));
    if (i % 8 === 3) yield { what: `cut at ${at}`, bytes: bytes.slice(0, at) };
    else if (i % 8 === 5 && messages.length > 1) yield { what: `message ${one} behind the next`, bytes: joined(bytes, messages[one], messages[one + 1]) };
    else if (i % 8 === 7 && messages.length) yield { what: `message ${one} twice`, bytes: concat([bytes.subarray(0, messages[one][1]), part(messages[one]), bytes.subarray(messages[one][1])]) };
    else {
      const mutant = bytes.slice();
      mutant[at] ^= [0x01, 0x80, 0xff][random(3)];
      yield { what: `byte ${at}`, bytes: mutant };
    }
  }
}

function joined(bytes, [start, middle], [next, end]) {
  return concat([bytes.subarray(0, start), bytes.subarray(next, end), bytes.subarray(middle, next), bytes.subarray(start, middle), bytes.subarray(end)]);
}

function concat(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Where each message of a payload begins and ends, of its map. */
export function messagesOf({ offsets, lens, messages }) {
  const found = [];
  offsets.forEach((offset, region) => {
    const message = messages[region];
    if (message === 0xffffffff) return;
    found[message] ??= [offset, offset];
    found[message][1] = offset + lens[region];
  });
  return found;
}
