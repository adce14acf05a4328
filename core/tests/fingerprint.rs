//! Schemas as other writers write them: equal ones have one fingerprint, others have others.
//! `golden/schemas/make.py` wrote the payloads.

#![allow(clippy::unwrap_used, reason = "tests")]

mod arbitrary;

use std::{fs, path::Path};

use arbitrary::arb_schema;
use proptest::prelude::*;
use volley_core::{fingerprint::Fingerprint, host::MetricSet, layout};

fn of_file(name: &str) -> Fingerprint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schemas").join(name);
    let payload = fs::read(path).unwrap();
    let layout = layout::check(&payload, &layout::Options::default()).unwrap();
    Fingerprint::of(&layout.streams[0].schema.as_ref().unwrap().schema)
}

#[test]
fn writers_of_one_schema_agree() {
    let host = Fingerprint::of(&MetricSet::Basic.schema());
    assert_eq!(of_file("host-pyarrow.arrows"), host);
    assert_eq!(of_file("host-pyarrow-pandas.arrows"), host);
    let nested = of_file("nested-pyarrow.arrows");
    assert_eq!(of_file("nested-polars.arrows"), nested);
    assert_eq!(of_file("nested-polars.arrow"), nested);
}

#[test]
fn order_and_nullability_count() {
    let host = Fingerprint::of(&MetricSet::Basic.schema());
    assert_ne!(of_file("host-other-order.arrows"), host);
    assert_ne!(of_file("host-nullable.arrows"), host);
    assert_ne!(Fingerprint::of(&MetricSet::Full.schema()), host);
}

proptest! {
    /// The canonical text leaves out names of list items, so schemas are compared without them: the
    /// generator gives every list item one name.
    #[test]
    fn different_schemas_differ(one in arb_schema(), other in arb_schema()) {
        let is_equal = one.fields() == other.fields();
        prop_assert_eq!(Fingerprint::of(&one) == Fingerprint::of(&other), is_equal);
    }
}
