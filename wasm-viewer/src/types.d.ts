/** A text that `JSON.parse` makes a `T` of. */
type Json<T> = string & { readonly __json?: T };

/** A payload at first sight: `volley_core::view::Summary`. */
export interface Summary {
  inspection: Inspection;
  /** What the schema says of each of `inspection.columns`. */
  columns: ColumnSummary[];
  /** Streams in a row of one schema are one table. */
  tables: TableSummary[];
  padding_bytes: number;
  unclaimed_bytes: number;
  streams: number;
  /** Of bytes that hold no message of Arrow. */
  looks_like: Looks | null;
}

export interface Inspection {
  framing: "stream" | "file" | "messages";
  codec: "none" | "lz4" | "zstd" | "mixed";
  rows: number;
  record_batches: number;
  /** Dictionary messages. */
  dictionaries: number;
  bytes: number;
  metadata_bytes: number;
  padding_bytes: number;
  /** All buffers, decompressed. */
  raw_bytes: number;
  /** `raw_bytes` for each of `bytes`. */
  ratio: number | null;
  bytes_per_row: number | null;
  metadata_share: number | null;
  /** Fingerprint of the first stream's schema. */
  schema: string | null;
  columns: ColumnInspection[];
  diagnostics: Diagnostic[];
}

export interface ColumnInspection {
  /** Names from the top, joined by dots; the values of a dictionary are `name[dictionary]`. */
  path: string;
  type: string;
  values: number;
  nulls: number;
  /** Bytes of its own buffers in the payload. */
  stored: number;
  /** The same buffers, decompressed. */
  raw: number;
  /** `raw` for each of `stored`. */
  ratio: number | null;
  /** `stored` as a part of the payload, 0 to 1. */
  share: number | null;
}

export interface ColumnSummary {
  name: string;
  depth: number;
  parent: number | null;
  is_dictionary: boolean;
  is_nullable: boolean;
  is_number: boolean;
  /** Whether `extremes` has an answer. */
  has_order: boolean;
  extension: string | null;
  metadata: [key: string, value: string][];
}

export interface TableSummary {
  /** Index of its first column in `Summary.columns`. */
  first_column: number;
  n_columns: number;
  /** Index of each column at the top: those that rows are made of. */
  tops: number[];
  rows: number;
  batches: number;
  metadata: [key: string, value: string][];
}

export interface Diagnostic {
  code: string;
  severity: "error" | "warning";
  offset: number;
  /** The whole finding as one sentence, of which these are parts. */
  message: string;
  headline: string;
  message_index: number | null;
  column: string | null;
  buffer: string | null;
  found: string;
  expected: string;
  /** The line of 16 bytes at fault and its neighbours, two hexadecimal digits a byte. */
  excerpt: { offset: number; bytes: string } | null;
}

export interface Looks {
  name: string;
  why: string;
}

/** Rows `first` to `first + count`, a column at a time. */
export interface Window {
  first: number;
  count: number;
  columns: WindowColumn[];
}

export interface WindowColumn {
  /** A letter a row: `v`alue, `n`ull, `e`mpty text, `f`loat that is no finite number, `x` damaged. */
  kinds: string;
  texts: string[];
  /** Why rows of kind `x` cannot be shown. */
  faults: Fault[];
}

export interface Fault {
  offset: number;
  message: string;
}

/** The least and greatest value so far: whole when `done` is `batches`. */
export interface Extremes {
  min: string | null;
  max: string | null;
  batches: number;
  done: number;
  /** Batches that cannot be read, and why the first of them cannot. */
  damaged: number;
  fault: Fault | null;
}

export interface RegionDetail {
  offset: number;
  len: number;
  kind: string;
  column: number | null;
  message: number | null;
  message_kind: "schema" | "dictionary" | "record batch" | "other" | null;
  rows: number | null;
  raw: number | null;
  codec: "none" | "lz4" | "zstd" | null;
  is_stored_raw: boolean;
}

/** Bytes that are text most of the time. */
type Text = string | { hex: string };

export interface Envelope {
  headers?: { name: string; value: Text | null }[];
  /** Most bytes of a message that the topic takes, where that is known. */
  max_message_bytes?: number | null;
  /** How the broker compresses messages of the topic by itself, where it does. */
  compression?: string | null;
}

export interface EnvelopeCheck {
  checksum: "ok" | "mismatch" | "absent";
  headers: HeaderCheck[];
  /** Of the payload, 8 hex digits. */
  crc32c: string;
  limit_bytes: number;
  /** The payload as a part of `limit_bytes`. */
  limit_share: number;
  notes: string[];
}

export interface HeaderCheck {
  name: string;
  value: Text | null;
  status: "ok" | "mismatch" | "unreadable" | null;
  /** What it would have to be to fit the payload, where it does not. */
  expected: string | null;
}

export interface ClickHouseTable {
  /** `null` where a column has no type there. */
  create: string | null;
  insert: string;
  /** Those at the top. */
  columns: {
    name: string;
    type: string | null;
    /** `none` without a type. */
    fit: "exact" | "widening" | "unknown" | "lossy" | "none";
    note: string | null;
  }[];
}

export interface Advice {
  rule: string;
  /** Path; `null` for the payload as a whole. */
  column: string | null;
  /** How much of the payload it is about, 0 to 1. */
  share: number;
  message: string;
}

/** Values of a column so far: whole when `done` is `batches`. */
export interface Values {
  rows: number;
  nulls: number;
  /** Different values that were counted. */
  distinct: number;
  /** Rows whose values were not, because there are too many different ones. */
  uncounted: number;
  top: { text: string; rows: number }[];
  /** Bars of one width, of numbers. */
  histogram: { from: number; rows: number }[];
  batches: number;
  done: number;
  fault: Fault | null;
}

/** A table written otherwise, as far as it was measured. */
export interface WhatIf {
  /** Rows that are measured, the first of the table; 0 while they are read. */
  rows: number;
  candidates: number;
  points: WhatIfPoint[];
  /** The point to take; `null` where none will do. */
  choice: { index: number; reason: string } | null;
  /** Columns that are dictionary-encoded where a point has dictionaries. */
  dictionary_columns: string[];
  is_done: boolean;
}

export interface WhatIfPoint {
  point: { rows: number; codec: string; framing: "stream" | "file"; dictionary: boolean };
  /** What its messages take: bytes of all of them, and of the largest. */
  size: { rows: number; bytes: number; largest: number };
  encode_ns: Interval | null;
  /** Checking and decoding. */
  decode_ns: Interval | null;
  is_front: boolean;
  objection: "too_large" | "too_late" | null;
  /** What to paste. */
  command: string;
}

/** Where a median lies, with about 95 % confidence. */
export interface Interval {
  low: number;
  median: number;
  high: number;
  n: number;
}

/** How far a selection is: whole when `done` is `of`. */
export interface Selected {
  rows: number;
  done: number;
  of: number;
  /** Rows that cannot be read, and why the first of them cannot. */
  left_out: number;
  fault: Fault | null;
}

/** Two payloads so far: whole when `done` is `of`. */
export interface Comparison {
  outcome: "same" | "different" | "unknown";
  verdict: string;
  schema: {
    /** Empty where it is the schema's. */
    column: string;
    change: "added" | "removed" | "type" | "nullability" | "metadata" | "order" | "tables";
    values: [string, string];
  }[];
  /** Indices into `Inspection.columns` of each; `different` counts rows, of columns at the top. */
  columns: { one: number | null; other: number | null; different: number }[];
  of: number;
  done: number;
  different: number;
  /** The first; `position` is the first payload's. `kinds` has a letter for each, as `WindowColumn.kinds`. */
  differences: { table: number; row: number; position: number; column: string; kinds: string; texts: [string, string] }[];
  unread: number;
  faults: { side: 0 | 1; column: string; row: number; fault: Fault }[];
}
