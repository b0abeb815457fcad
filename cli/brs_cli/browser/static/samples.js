// Looking up what was recorded at a time.

// Index of the last time at or before t, or -1.
export function before(times, t) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// All columns at a time, by lines between the samples; null if there are none.
export function at(samples, t) {
  const i = before(samples.t, t);
  if (i < 0) return samples.t.length ? samples.columns.map((column) => column[0]) : null;
  const j = Math.min(i + 1, samples.t.length - 1);
  const gap = samples.t[j] - samples.t[i];
  const share = gap > 0 ? Math.min(1, (t - samples.t[i]) / gap) : 0;
  return samples.columns.map((c) =>
    c[i] === null || c[j] === null ? c[i] : c[i] + share * (c[j] - c[i]),
  );
}
