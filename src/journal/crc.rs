//! CRC-32 as in Ethernet, gzip and PNG (reflected polynomial 0xEDB88320),
//! eight bytes a step.

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut t = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut c = i as u32;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            bit += 1;
        }
        t[0][i] = c;
        i += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut i = 0;
        while i < 256 {
            let before = t[k - 1][i];
            t[k][i] = t[0][(before & 0xff) as usize] ^ (before >> 8);
            i += 1;
        }
        k += 1;
    }
    t
}

/// The checksum of several pieces as if they were one.
pub(super) fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut c = u32::MAX;
    for piece in pieces {
        let (blocks, rest) = piece.as_chunks::<8>();
        for b in blocks {
            let low = c ^ u32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            let at = |table: usize, byte: u32| TABLES[table][(byte & 0xff) as usize];
            c = at(7, low)
                ^ at(6, low >> 8)
                ^ at(5, low >> 16)
                ^ at(4, low >> 24)
                ^ at(3, u32::from(b[4]))
                ^ at(2, u32::from(b[5]))
                ^ at(1, u32::from(b[6]))
                ^ at(0, u32::from(b[7]));
        }
        for b in rest {
            c = TABLES[0][((c ^ u32::from(*b)) & 0xff) as usize] ^ (c >> 8);
        }
    }
    !c
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn matches_the_published_check_values() {
        assert_eq!(crc32(&[b""]), 0);
        assert_eq!(crc32(&[b"123456789"]), 0xcbf4_3926);
        assert_eq!(crc32(&[b"The quick brown fox jumps over the lazy dog"]), 0x414f_a339);
    }

    #[test]
    fn pieces_are_one_text() {
        let text: Vec<u8> = (0..200u8).collect();
        for cut in 0..text.len() {
            assert_eq!(crc32(&[&text[..cut], &text[cut..]]), crc32(&[&text]));
        }
    }
}
