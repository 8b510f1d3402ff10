//! Names under which rows are counted together.

/// A path with what differs from request to request taken out: numbers of
/// three digits and more, segments of digits, long hexadecimal identifiers.
#[inline]
pub(in super::super) fn template(path: &[u8], out: &mut Vec<u8>) {
    const LONGEST: usize = 160;
    out.clear();
    let path = &path[..path.len().min(LONGEST)];
    let mut i = 0;
    while i < path.len() {
        // Words without a digit in them are taken over whole.
        let plain = path[i..].iter().take_while(|c| KIND[usize::from(**c)] == OTHER).count();
        out.extend_from_slice(&path[i..i + plain]);
        i += plain;
        let (from, mut digits, mut hex) = (i, 0, true);
        while let Some(kind) = path.get(i).map(|c| KIND[usize::from(*c)]).filter(|k| *k != OTHER) {
            digits += usize::from(kind == DIGIT);
            hex &= kind != LETTER;
            i += 1;
        }
        let word = &path[from..i];
        let n = word.len();
        if digits == 0 {
            out.extend_from_slice(word);
            continue;
        }
        let starts = from == 0 || path[from - 1] == b'/';
        let ends = matches!(path.get(i), None | Some(b'/' | b'.'));
        if (hex && n >= 16 && digits >= 2) || (digits == n && (n >= 3 || (starts && ends))) {
            out.push(b'*');
            continue;
        }
        // A word with numbers in it: each long run of digits goes.
        let mut k = 0;
        while k < n {
            let run = word[k..].iter().take_while(|c| c.is_ascii_digit()).count();
            if run >= 3 {
                out.push(b'*');
                k += run;
            } else {
                let run = run.max(1);
                out.extend_from_slice(&word[k..k + run]);
                k += run;
            }
        }
    }
}

/// What a byte is in a path: part of a word or not, and of which kind.
const OTHER: u8 = 0;
const DIGIT: u8 = 1;
const HEX: u8 = 2;
const LETTER: u8 = 3;
const KIND: [u8; 256] = {
    let mut kind = [OTHER; 256];
    let mut c = 0;
    while c < 256 {
        kind[c] = match c as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' | b'A'..=b'F' | b'-' => HEX,
            b'g'..=b'z' | b'G'..=b'Z' => LETTER,
            _ => OTHER,
        };
        c += 1;
    }
    kind
};

/// The network of a client: /24, or /48 of IPv6.
#[inline]
pub(super) fn network(client: &[u8], out: &mut Vec<u8>) {
    out.clear();
    if client.contains(&b':') {
        let client = client.strip_prefix(b"[").unwrap_or(client);
        let cut = memchr::memchr_iter(b':', client).nth(2).unwrap_or(client.len());
        out.extend_from_slice(&client[..cut.min(40)]);
        out.extend_from_slice(b"::/48");
    } else if let Some(dot) = memchr::memrchr(b'.', client).filter(|d| *d <= 11) {
        out.extend_from_slice(&client[..dot]);
        out.extend_from_slice(b".0/24");
    }
}
