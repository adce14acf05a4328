//! What else rows are sent as, each with zstd at its fastest level: the rivals of an Arrow message.

use std::io::Write as _;

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Float32Type, Float64Type, Int32Type, TimestampMicrosecondType,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::{DataType, TimeUnit};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use crate::stream;

/// A way to write a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An Arrow message: what Volley sends.
    Arrow,
    /// JSON, a line for each row.
    JsonLines,
    /// ClickHouse's `RowBinary`: values in the order of rows, with nothing between.
    RowBinary,
    /// A Parquet file.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Arrow, Self::JsonLines, Self::RowBinary, Self::Parquet];

    /// Its name in ids and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::JsonLines => "json_lines",
            Self::RowBinary => "row_binary",
            Self::Parquet => "parquet",
        }
    }

    /// `batch` in this format, compressed with `zstd:1`.
    pub fn encode(self, batch: &RecordBatch) -> Vec<u8> {
        match self {
            Self::Arrow => {
                volley_core::encode::encode(batch, stream("zstd:1")).expect("a batch for IPC")
            }
            Self::JsonLines => compressed(&json_lines(batch)),
            Self::RowBinary => compressed(&row_binary(batch)),
            Self::Parquet => parquet(batch),
        }
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("bytes that compress")
}

/// Without compression.
pub fn json_lines(batch: &RecordBatch) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut writer = arrow_json::LineDelimitedWriter::new(&mut lines);
    writer.write(batch).expect("a batch for JSON");
    writer.finish().expect("room for the end");
    lines
}

/// Without compression. Columns without nulls, of the types that the data sets have.
pub fn row_binary(batch: &RecordBatch) -> Vec<u8> {
    let columns: Vec<_> = batch.columns().iter().map(|column| value_writer(column)).collect();
    let mut rows = Vec::new();
    for row in 0..batch.num_rows() {
        columns.iter().for_each(|write| write(row, &mut rows));
    }
    rows
}

type WriteValue<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

fn value_writer(column: &dyn Array) -> WriteValue<'_> {
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            Box::new(|row, rows| text(texts.value(row), rows))
        }
        DataType::Dictionary(_, _) => {
            let keys = column.as_dictionary::<Int32Type>();
            let values = keys.values().as_string::<i32>();
            Box::new(|row, rows| text(values.value(keys.keys().value(row) as usize), rows))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            number::<TimestampMicrosecondType, 8>(column, i64::to_le_bytes)
        }
        DataType::Float32 => number::<Float32Type, 4>(column, f32::to_le_bytes),
        DataType::Float64 => number::<Float64Type, 8>(column, f64::to_le_bytes),
        DataType::Int32 => number::<Int32Type, 4>(column, i32::to_le_bytes),
        DataType::UInt16 => number::<UInt16Type, 2>(column, u16::to_le_bytes),
        DataType::UInt32 => number::<UInt32Type, 4>(column, u32::to_le_bytes),
        DataType::UInt64 => number::<UInt64Type, 8>(column, u64::to_le_bytes),
        other => panic!("no data set has a column of {other}"),
    }
}

fn number<T: ArrowPrimitiveType, const N: usize>(
    column: &dyn Array,
    bytes: fn(T::Native) -> [u8; N],
) -> WriteValue<'_> {
    let values = column.as_primitive::<T>().values();
    Box::new(move |row, rows| rows.extend_from_slice(&bytes(values[row])))
}

/// The length as LEB128, then the bytes.
fn text(text: &str, rows: &mut Vec<u8>) {
    let mut len = text.len();
    while len >= 0x80 {
        rows.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    rows.push(len as u8);
    rows.write_all(text.as_bytes()).expect("memory");
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let level = ZstdLevel::try_new(1).expect("a level of zstd");
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))
        .expect("a schema for Parquet");
    writer.write(batch).expect("a batch for Parquet");
    writer.into_inner().expect("room for the footer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Data;

    #[test]
    fn json_lines_are_the_rows() {
        let batch = Data::Host.table(100);
        let lines = json_lines(&batch);
        let mut reader = arrow_json::ReaderBuilder::new(batch.schema()).build(&*lines).unwrap();
        assert_eq!(reader.next().unwrap().unwrap(), batch);
    }

    #[test]
    fn parquet_is_the_rows() {
        for data in Data::ALL {
            let batch = data.table(100);
            let file = bytes::Bytes::from(parquet(&batch));
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100);
            assert_eq!(reader.unwrap().next().unwrap().unwrap(), batch, "{data:?}");
        }
    }

    #[test]
    fn row_binary_is_values_in_the_order_of_rows() {
        let batch = Data::Host.table(2);
        let bytes = row_binary(&batch);
        let row = bytes.len() / 2;
        assert_eq!(bytes[0] as usize, "host-1".len());
        assert_eq!(&bytes[1..7], b"host-1");
        assert_eq!(bytes[row..row + 7], bytes[..7]);
        let ts = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(bytes[row + 7..row + 15], ts.value(1).to_le_bytes());
        let elapsed = batch.column(6).as_primitive::<Int32Type>();
        assert_eq!(bytes[bytes.len() - 4..], elapsed.value(1).to_le_bytes());
    }
}
