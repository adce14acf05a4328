//! ClickHouse's codes, sorted by what to do about them.

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass: wait and send the same block again.
    Transient,
    /// The rows are at fault.
    Data,
    /// It is more than is taken at once: send less.
    TooLarge,
    /// The table is not what it was when it was looked at: look again.
    Table,
    /// Nothing gets better by itself: stop and say so.
    Configuration,
}

/// ClickHouse's codes that are not a matter of configuration, each with its name there.
const KINDS: &[(u32, ErrorKind)] = &[
    (6, ErrorKind::Data),         // CANNOT_PARSE_TEXT
    (26, ErrorKind::Data),        // CANNOT_PARSE_QUOTED_STRING
    (27, ErrorKind::Data),        // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    (33, ErrorKind::Data),        // CANNOT_READ_ALL_DATA
    (38, ErrorKind::Data),        // CANNOT_PARSE_DATE
    (41, ErrorKind::Data),        // CANNOT_PARSE_DATETIME
    (72, ErrorKind::Data),        // CANNOT_PARSE_NUMBER
    (69, ErrorKind::Data),        // ARGUMENT_OUT_OF_BOUND
    (117, ErrorKind::Data),       // INCORRECT_DATA
    (128, ErrorKind::Data),       // TOO_LARGE_ARRAY_SIZE
    (131, ErrorKind::Data),       // TOO_LARGE_STRING_SIZE
    (271, ErrorKind::Data),       // CANNOT_DECOMPRESS
    (321, ErrorKind::Data),       // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    (349, ErrorKind::Data),       // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    (376, ErrorKind::Data),       // CANNOT_PARSE_UUID
    (407, ErrorKind::Data),       // DECIMAL_OVERFLOW
    (469, ErrorKind::Data),       // VIOLATED_CONSTRAINT
    (691, ErrorKind::Data),       // UNKNOWN_ELEMENT_OF_ENUM
    (16, ErrorKind::Table),       // NO_SUCH_COLUMN_IN_TABLE
    (60, ErrorKind::Table),       // UNKNOWN_TABLE
    (81, ErrorKind::Table),       // UNKNOWN_DATABASE
    (218, ErrorKind::Table),      // TABLE_IS_DROPPED
    (159, ErrorKind::Transient),  // TIMEOUT_EXCEEDED
    (198, ErrorKind::Transient),  // DNS_ERROR
    (202, ErrorKind::Transient),  // TOO_MANY_SIMULTANEOUS_QUERIES
    (203, ErrorKind::Transient),  // NO_FREE_CONNECTION
    (209, ErrorKind::Transient),  // SOCKET_TIMEOUT
    (210, ErrorKind::Transient),  // NETWORK_ERROR
    (225, ErrorKind::Transient),  // NO_ZOOKEEPER
    (236, ErrorKind::Transient),  // ABORTED
    (241, ErrorKind::Transient),  // MEMORY_LIMIT_EXCEEDED
    (242, ErrorKind::Transient),  // TABLE_IS_READ_ONLY
    (243, ErrorKind::Transient),  // NOT_ENOUGH_SPACE
    (252, ErrorKind::Transient),  // TOO_MANY_PARTS
    (279, ErrorKind::Transient),  // ALL_CONNECTION_TRIES_FAILED
    (285, ErrorKind::Transient),  // TOO_FEW_LIVE_REPLICAS
    (286, ErrorKind::Transient),  // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    (319, ErrorKind::Transient),  // UNKNOWN_STATUS_OF_INSERT
    (394, ErrorKind::Transient),  // QUERY_WAS_CANCELLED
    (439, ErrorKind::Transient),  // CANNOT_SCHEDULE_TASK
    (473, ErrorKind::Transient),  // DEADLOCK_AVOIDED
    (499, ErrorKind::Transient),  // S3_ERROR
    (517, ErrorKind::Transient),  // CANNOT_ASSIGN_ALTER
    (733, ErrorKind::Transient),  // TABLE_IS_BEING_RESTARTED
    (745, ErrorKind::Transient),  // SERVER_OVERLOADED
    (999, ErrorKind::Transient),  // KEEPER_EXCEPTION
    (1000, ErrorKind::Transient), // POCO_EXCEPTION
];

/// What to do about an exception of ClickHouse's.
pub(super) fn of_exception(code: u32, message: &str) -> ErrorKind {
    // TOO_MANY_PARTS too, of a block that will have as many each time.
    if message.contains("max_partitions_per_insert_block") {
        return ErrorKind::Configuration;
    }
    let known = KINDS.iter().find(|(known, _)| *known == code);
    match known {
        // The table has the rows by then: parts of the block would be stored again.
        Some((_, ErrorKind::Data)) if is_of_view(message) => ErrorKind::Configuration,
        Some((_, kind)) => *kind,
        // A full disk comes as a system error of whatever wrote to it.
        None if message.contains("No space left on device") => ErrorKind::Transient,
        None => ErrorKind::Configuration,
    }
}

/// What to do where a message alone does not say it.
pub(super) fn way_out(code: u32, message: &str) -> &'static str {
    if of_exception(code, message) == ErrorKind::Configuration && is_of_view(message) {
        "; the table may have these rows: mend the view and run again, which sends the same insert"
    } else {
        ""
    }
}

/// Whether a materialized view has failed: `…: while pushing to view d.v. (VIOLATED_CONSTRAINT)`.
/// Values that ClickHouse quotes before that may say anything, in quotes.
fn is_of_view(message: &str) -> bool {
    let view = message.rsplit_once(": while pushing to view ").map(|(_, view)| view);
    view.is_some_and(|view| !view.contains('\''))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_decide_between_waiting_and_stopping() {
        let kind = of_exception;
        for passing in [252, 499, 745] {
            assert_eq!(kind(passing, ""), ErrorKind::Transient, "{passing}");
        }
        assert_eq!(kind(218, ""), ErrorKind::Table);
        let partitions = "Too many partitions for single INSERT block (more than 100). The limit is \
                          controlled by 'max_partitions_per_insert_block' setting.";
        assert_eq!(kind(252, partitions), ErrorKind::Configuration);
        assert_eq!(kind(117, ""), ErrorKind::Data);
        assert_eq!(kind(516, ""), ErrorKind::Configuration);
        assert_eq!(kind(75, "errno: 28, strerror: No space left on device"), ErrorKind::Transient);
        assert!(
            KINDS
                .iter()
                .enumerate()
                .all(|(i, (code, _))| KINDS[..i].iter().all(|(c, _)| c != code))
        );
    }

    #[test]
    fn what_a_view_refuses_is_not_the_fault_of_rows() {
        let refused = |end: &str| format!("Constraint `c` is violated. Column values: {end}");
        let of_view = refused("n = -3: while pushing to view d.mv. (VIOLATED_CONSTRAINT)");
        assert_eq!(of_exception(469, &of_view), ErrorKind::Configuration);
        assert!(way_out(469, &of_view).contains("mend the view"));
        // It may pass, and the table drops what it has.
        assert_eq!(of_exception(241, &of_view), ErrorKind::Transient);
        let chained = refused("n = 8: while pushing to view d.b: while pushing to view d.a. (X)");
        assert_eq!(of_exception(469, &chained), ErrorKind::Configuration);
        // Nobody stops a load by what rows say.
        let hostile = refused("s = 'x: while pushing to view d.mv'. (VIOLATED_CONSTRAINT)");
        assert_eq!(of_exception(469, &hostile), ErrorKind::Data);
    }
}
