//! Changes inputs a little, in ways that parsers stumble over.

/// Longest input.
const BYTES_MAX: usize = 64 * 1024;
/// Numbers at the borders of what formats count with.
const NUMBERS: [&str; 8] = ["0", "-1", "9223372036854775807", "18446744073709551616", "1e999", "NaN", "4294967296", "00"];
const BYTES: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'\n', b','];

/// The same changes for the same seed.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One of the corpus, changed.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let length = self.below(32).min(input.len() - at);
        match self.below(9) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                let new = BYTES[self.below(BYTES.len())];
                if let Some(byte) = input.get_mut(at) {
                    *byte = new;
                }
            }
            2 => input.insert(at, BYTES[self.below(BYTES.len())]),
            3 => {
                input.drain(at..at + length);
            }
            4 => {
                let again = input[at..at + length].to_vec();
                let times = 1 + self.below(16);
                input.splice(at..at, again.repeat(times));
            }
            5 => input.truncate(at),
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                let taken = self.below(64).min(other.len() - from);
                input.splice(at..at, other[from..from + taken].iter().copied());
            }
            7 => self.number(input, at),
            _ => {
                let random = self.random().to_le_bytes();
                input.splice(at..at + length, random);
            }
        }
    }

    /// Puts a border's number in the place of the next one.
    fn number(&mut self, input: &mut Vec<u8>, from: usize) {
        let Some(at) = input[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
        let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        input.splice(at..at + digits, NUMBERS[self.below(NUMBERS.len())].bytes());
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random() % limit.max(1) as u64) as usize
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// FNV-1a, for names of files.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence() {
        let corpus = vec![b"{\"a\": 12}".to_vec(), b"b{c=\"d\"} 1\n".to_vec()];
        let run = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..1_000).map(|_| mutator.next(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(1).iter().any(Vec::is_empty) && run(1).iter().any(|input| input.len() > 40));
    }
}
