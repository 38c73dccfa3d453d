//! The targets with their seeds, and with variations of them that are the same in every run.

use std::{env, fs, panic, path::Path};

#[test]
fn codec() {
    briefly("codec", crate::codec, 20_000);
}

#[test]
fn envelopes() {
    briefly("envelopes", crate::envelopes, 20_000);
}

#[test]
fn source() {
    briefly("source", crate::source, 500);
}

#[test]
fn values() {
    briefly("values", crate::values, 1_000);
}

#[test]
fn declarations() {
    briefly("declarations", crate::declarations, 1_000);
}

/// `CODEMODE_FUZZ_FACTOR` says how many times as many variations are tried, and others.
fn briefly(target: &str, holds: fn(&[u8]), variations: u64) {
    let factor = env::var("CODEMODE_FUZZ_FACTOR").map_or(1, |factor| factor.parse().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        check(holds, seed);
    }
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ factor);
    for _ in 0..variations * factor {
        check(holds, &chance.variation(&seeds));
    }
}

fn check(holds: fn(&[u8]), data: &[u8]) {
    if let Err(found) = panic::catch_unwind(|| holds(data)) {
        eprintln!("the input: {}", data.escape_ascii());
        panic::resume_unwind(found);
    }
}

/// A xorshift generator: the same numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, number: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 17) as usize % number.max(1)
    }

    fn variation(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut data = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            let end = at + self.below((data.len() - at).min(32) + 1);
            match self.below(6) {
                0 => data.insert(at, self.below(256) as u8),
                1 if at < data.len() => data[at] ^= 1 << self.below(8),
                2 => drop(data.drain(at..end)),
                3 => {
                    let again = data[at..end].to_vec();
                    data.splice(at..at, again);
                }
                4 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let to = from + self.below((other.len() - from).min(64) + 1);
                    data.splice(at..end, other[from..to].iter().copied());
                }
                _ => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    data.splice(at..end, token.iter().copied());
                }
            }
        }
        data
    }
}

const TOKENS: [&[u8]; 24] = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x04",
    b"\"",
    b"\\",
    b"\\ud800",
    b"*/",
    b"//",
    b"`",
    b"${",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"null",
    b"-1",
    b"1e999",
    b"\n",
    b"\xe2\x80\xa8",
    b"<",
    b"@",
    b"#/$defs/a",
];
