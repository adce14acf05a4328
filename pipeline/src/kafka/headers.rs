use std::{borrow::Cow, ffi::CStr, ptr, slice};

use rdkafka::{
    bindings::{rd_kafka_header_get_all, rd_kafka_message_headers},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};

/// Name and value of every header of a message.
///
/// rdkafka's own way to them panics on a name that is not UTF-8, which any producer can write.
#[allow(unsafe_code)]
pub(crate) fn headers<'m>(
    message: &'m BorrowedMessage<'_>,
) -> Vec<(Cow<'m, str>, Option<&'m [u8]>)> {
    let mut headers = Vec::new();
    let mut list = ptr::null_mut();
    // SAFETY: the message is alive, and owns the list for as long as it is.
    let found = unsafe { rd_kafka_message_headers(message.ptr(), &mut list) };
    if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return headers;
    }
    for index in 0.. {
        let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the list is that of the living message; past its end librdkafka says so.
        let found =
            unsafe { rd_kafka_header_get_all(list, index, &mut name, &mut value, &mut len) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            break;
        }
        // SAFETY: librdkafka ends names with a zero, and both lie in the message's memory.
        let (name, value) = unsafe {
            let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), len));
            (CStr::from_ptr(name), value)
        };
        headers.push((name.to_string_lossy(), value));
    }
    headers
}
