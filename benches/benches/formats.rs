//! Record batch to bytes, in the formats that rows are sent in, each with `zstd:1`.
//!
//! Not timed: making the batches. That each format holds the rows is tested in `src/formats.rs`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use volley_benches::{Data, criterion, formats::Format, turns};

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench_formats
}
criterion_main!(benches);

fn bench_formats(criterion: &mut Criterion) {
    for data in Data::ALL {
        for n_rows in [100, 1000, 10_000] {
            let name = format!("formats_{}/encode_{n_rows}", data.name());
            let mut group = criterion.benchmark_group(name);
            group.throughput(Throughput::Elements(n_rows as u64));
            let batches = data.batches(n_rows);
            for format in Format::ALL {
                let mut next = turns(&batches);
                group.bench_function(format.name(), |bencher| {
                    bencher.iter(|| format.encode(black_box(&next())));
                });
            }
            group.finish();
        }
    }
}
