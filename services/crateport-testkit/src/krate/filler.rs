//! Bytes that do not compress and are the same in every run.

/// SplitMix64 (Steele, Lea and Flood, 2014), written out so that no dependency's update changes the bytes.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// `size` bytes that depend only on the seed text.
pub(crate) fn bytes(seed: &str, size: usize) -> Vec<u8> {
    // FNV-1a over the seed text.
    let start = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut generator = SplitMix64(start);
    let mut filler = Vec::with_capacity(size + 8);
    while filler.len() < size {
        filler.extend_from_slice(&generator.next().to_le_bytes());
    }
    filler.truncate(size);
    filler
}
