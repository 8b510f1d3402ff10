//! Bytes as a file would hold them, packed or not.
#![no_main]
use badgate::sources::access_log::engine::stream;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = stream(data);
});
