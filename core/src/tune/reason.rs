use std::fmt::Write as _;

use super::{Goal, Measured, Objection, Objective, Recommendation, TOLERANCE};

/// Why a point was chosen, in one sentence without a full stop. `default` is what one would have
/// taken untold, if that was measured.
pub fn reason(goal: &Goal, chosen: &Recommendation<'_>, default: Option<&Measured>) -> String {
    let what = match goal.objective {
        Objective::Bytes => "bytes a row",
        Objective::Cpu => "work a row",
        Objective::Latency => "time until a row can be read",
        Objective::Balanced => "work and bytes a row together",
    };
    let mut text = if chosen.cost > chosen.lowest {
        let part = (chosen.cost / chosen.lowest - 1.0) * 100.0;
        format!(
            "the fewest rows within {:.0} % of the lowest {what} ({part:.1} % above it)",
            TOLERANCE * 100.0
        )
    } else {
        format!("the lowest {what}")
    };
    let Some(default) = default.filter(|default| default.point != chosen.measured.point) else {
        return text;
    };
    // Writing to a string does not fail.
    let _ = write!(text, "; against {}: ", default.point);
    match goal.objection(default) {
        Some(Objection::TooLarge) => text.push_str("its messages are too large"),
        Some(Objection::TooLate) => text.push_str("its rows wait too long"),
        None => {
            let bytes = change(chosen.measured.bytes_per_row(), default.bytes_per_row(), "bytes");
            // Of the default, servers may not have been asked.
            let (now, before) = if chosen.measured.is_comparable(default) {
                (chosen.measured.work_ns(), default.work_ns())
            } else {
                (chosen.measured.codec_ns(), default.codec_ns())
            };
            let work = change(now, before, "work");
            let _ = write!(text, "{bytes}, {work}");
        }
    }
    text
}

fn change(now: f64, before: f64, of: &str) -> String {
    let part = if before > 0.0 { (now / before - 1.0) * 100.0 } else { 0.0 };
    match part.round() {
        0.0 => format!("as much of {of}"),
        p if p < 0.0 && of == "bytes" => format!("{:.0} % fewer {of}", -p),
        p if p < 0.0 => format!("{:.0} % less {of}", -p),
        p => format!("{p:.0} % more {of}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{Codec, Framing},
        tune::{Point, Size},
    };

    fn measured(rows: usize, bytes: u64, encode_ns: f64) -> Measured {
        let point =
            Point { rows, codec: Codec::default(), framing: Framing::Stream, dictionary: false };
        let size = Size { rows: 1, bytes, largest: bytes as usize };
        let mut measured = Measured::new(point, size);
        measured.encode.push(encode_ns);
        measured
    }

    #[test]
    fn reasons_say_what_is_gained() {
        let goal = Goal::default();
        let (chosen, default) = (measured(5000, 20, 90.0), measured(1000, 25, 60.0));
        let lowest = Recommendation { measured: &chosen, cost: 10.0, lowest: 10.0 };
        assert_eq!(reason(&goal, &lowest, None), "the lowest work and bytes a row together");
        assert_eq!(
            reason(&goal, &lowest, Some(&chosen)),
            "the lowest work and bytes a row together"
        );
        let near = Recommendation { cost: 10.1, ..lowest };
        assert_eq!(
            reason(&goal, &near, Some(&default)),
            "the fewest rows within 2 % of the lowest work and bytes a row together (1.0 % above it); \
             against 1000 rows, zstd:1: 20 % fewer bytes, 50 % more work"
        );
        let tight = Goal { payload_limit: 24, ..goal };
        assert!(reason(&tight, &near, Some(&default)).ends_with("its messages are too large"));
    }
}
