//! `docs/contract.md`, made of [`PARTIES`] and [`GAPS`].

use std::{env, fmt::Write as _, fs, path::Path};

use super::{
    columns::columns,
    gaps::{GAPS, Gap},
    outcome::{Form, Side},
    parties::{PARTIES, Party, version},
};

/// Compares with the committed page; `UPDATE_SNAPSHOTS=1` rewrites it instead.
#[track_caller]
pub(crate) fn check() {
    for gap in GAPS {
        let is_seen = cells(gap.side).any(|(party, name, form)| {
            Gap::find(party.name, gap.side, name, form)
                .is_some_and(|found| std::ptr::eq(found, gap))
        });
        assert!(is_seen, "a gap that is about no cell: {gap:?}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contract.md");
    let found = page();
    if env::var_os("UPDATE_SNAPSHOTS").is_some_and(|set| set == "1") {
        fs::write(&path, found).unwrap();
        return;
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|committed| committed == found),
        "docs/contract.md is not as the suite has it; to accept it:\n\
         UPDATE_SNAPSHOTS=1 cargo test -p volley-e2e --test it contract::docs"
    );
}

fn page() -> String {
    let mut page = "\
# Who reads our messages, and whose we read

<!-- Made by testcontainers-tests/tests/it/contract/table.rs; the suite fails where it is not true. -->

The end-to-end suite hands a payload of every type, in both framings and with each codec, to the programs below, in the releases
named, and compares every value, nulls and the edges of each type among them. Each gap is listed in
`testcontainers-tests/tests/it/contract/gaps.rs`; the suite fails when a new one opens, and when one closes. How a value is compared
is said in [testcontainers-tests/contract](../testcontainers-tests/contract/README.md).

✓ all values are right · – it is refused · ≠ other values are read, without a word · blank: not tried, because the party
did not read it right · a number is a note below the tables
"
    .to_owned();
    let mut notes = Vec::new();
    page += "\n## They read ours\n";
    section(&mut page, &mut notes, Side::Reads);
    page += "\n## We read theirs\n\n\
        A payload that a party wrote of what it read is walked by `volley inspect`'s walk, decoded, and loaded into\n\
        ClickHouse by `volley load`, each row compared.\n";
    section(&mut page, &mut notes, Side::Writes);
    page += "\n## Through the broker\n\n";
    for party in PARTIES {
        if let Some(does) = party.through_broker {
            let _ = writeln!(page, "- **{}** {}: {does}.", party.name, version(party.name));
        }
    }
    page += "\n## Notes\n\n";
    for (gap, i) in notes.iter().zip(1..) {
        let _ = writeln!(page, "{i}. {}: {}.", gap.party, gap.why);
    }
    page
}

/// Types by parties, then parties by framings and codecs.
fn section(page: &mut String, notes: &mut Vec<&'static Gap>, side: Side) {
    let parties: Vec<_> = parties(side).collect();
    let name = |party: &&Party| format!("{} {}", party.name, version(party.name));
    page.push('\n');
    row(page, ["type".to_owned()].into_iter().chain(parties.iter().map(name)));
    row(page, vec!["---".to_owned(); parties.len() + 1]);
    for column in columns() {
        let cell = |party: &&Party| of_type(notes, party, side, column.name);
        let cells: Vec<_> = parties.iter().map(cell).collect();
        row(page, [format!("`{}`", column.name)].into_iter().chain(cells));
    }
    page.push('\n');
    let header = ["", "with"].map(str::to_owned).into_iter();
    row(page, header.chain(Form::ALL.map(|form| form.to_string())));
    row(page, vec!["---".to_owned(); Form::ALL.len() + 2]);
    for party in parties {
        let how = how(party, side).unwrap_or_default().to_owned();
        let cells = Form::ALL.map(|form| of_form(notes, party, side, form));
        row(page, [party.name.to_owned(), how].into_iter().chain(cells));
    }
}

fn row(page: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<_> = cells.into_iter().collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// What is said of a type: the forms that are no party's way at all are in the other table.
fn of_type(notes: &mut Vec<&'static Gap>, party: &Party, side: Side, name: &str) -> String {
    let is_unread = Gap::find(party.name, Side::Reads, name, Form::ALL[0]).is_some();
    if side == Side::Writes && is_unread {
        return String::new();
    }
    let gaps = Form::ALL
        .map(|form| Gap::find(party.name, side, name, form).filter(|gap| !gap.types.is_empty()));
    match gaps.iter().flatten().next() {
        None => "✓".to_owned(),
        Some(gap) => cell(notes, gap, gaps.iter().all(Option::is_some)),
    }
}

/// What is said of a framing and codec, whatever the type.
fn of_form(notes: &mut Vec<&'static Gap>, party: &Party, side: Side, form: Form) -> String {
    let is_about = |gap: &&Gap| gap.types.is_empty() && gap.is_about(party.name, side, "", form);
    GAPS.iter().find(is_about).map_or_else(|| "✓".to_owned(), |gap| cell(notes, gap, true))
}

/// The sign of a gap, with its note. Gaps that have one reason share it.
fn cell(notes: &mut Vec<&'static Gap>, gap: &'static Gap, is_all: bool) -> String {
    let sign = match (is_all, gap.is_silent) {
        (false, _) => "✓",
        (true, false) => "–",
        (true, true) => "≠",
    };
    let same = |note: &&Gap| (note.party, note.why) == (gap.party, gap.why);
    let at = notes.iter().position(same).unwrap_or_else(|| {
        notes.push(gap);
        notes.len() - 1
    });
    format!("{sign}<sup>{}</sup>", at + 1)
}

fn cells(side: Side) -> impl Iterator<Item = (&'static Party, &'static str, Form)> {
    let names = columns().into_iter().map(|column| column.name);
    let names: Vec<_> = names.collect();
    parties(side).flat_map(move |party| {
        let names = names.clone().into_iter();
        names.flat_map(move |name| Form::ALL.into_iter().map(move |form| (party, name, form)))
    })
}

fn parties(side: Side) -> impl Iterator<Item = &'static Party> {
    PARTIES.iter().filter(move |party| how(party, side).is_some())
}

fn how(party: &Party, side: Side) -> Option<&'static str> {
    match side {
        Side::Reads => party.reads,
        Side::Writes => party.writes,
    }
}
