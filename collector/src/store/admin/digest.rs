//! What a table holds, as one number that does not depend on the order of its rows.

use super::catalog::Kind;
use crate::store::database::{Row, Value};

/// Rows, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub rows: u64,
    sum: u128,
}

impl Digest {
    /// Columns in the order of `kinds`.
    pub fn add(&mut self, row: &Row, kinds: &[Kind]) {
        let mut hasher = blake3::Hasher::new();
        for (value, kind) in row.0.iter().zip(kinds) {
            put(&mut hasher, value, *kind);
        }
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        self.rows += 1;
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(hash));
    }
}

fn put(hasher: &mut blake3::Hasher, value: &Value, kind: Kind) {
    match (value, kind) {
        // SQLite keeps a real number that is whole as an integer, and one that is none as null.
        (Value::Int(number), Kind::Real) => real(hasher, *number as f64),
        (Value::Real(number), _) if number.is_nan() => drop(hasher.update(&[0])),
        (Value::Real(number), _) => real(hasher, *number),
        (Value::Int(number), _) => drop(hasher.update(&[1]).update(&number.to_le_bytes())),
        (Value::Text(text), _) => bytes(hasher, 3, text.as_bytes()),
        (Value::Blob(blob), _) => bytes(hasher, 4, blob),
        (Value::Null | Value::NullReal | Value::NullText | Value::NullBlob, _) => drop(hasher.update(&[0])),
    }
}

fn real(hasher: &mut blake3::Hasher, number: f64) {
    // There is one zero.
    hasher.update(&[2]).update(&(number + 0.0).to_le_bytes());
}

fn bytes(hasher: &mut blake3::Hasher, tag: u8, bytes: &[u8]) {
    hasher.update(&[tag]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(rows: &[&[Value]]) -> Digest {
        let mut digest = Digest::default();
        rows.iter().for_each(|row| digest.add(&Row(row.to_vec()), &[Kind::Int, Kind::Real, Kind::Text]));
        digest
    }

    #[test]
    fn rows_count_in_any_order_and_values_exactly() {
        let a: &[Value] = &[Value::Int(1), Value::Real(2.0), Value::Text("x".into())];
        let b: &[Value] = &[Value::Int(2), Value::Null, Value::NullText];
        assert_eq!(digest(&[a, b]), digest(&[b, a]));
        assert_ne!(digest(&[a, b]), digest(&[a, a]));
        assert_ne!(digest(&[a]), digest(&[a, b]));
        assert_eq!(digest(&[&[Value::Int(1), Value::Int(2), Value::Text("x".into())]]), digest(&[a]));
        assert_ne!(digest(&[&[Value::Int(1), Value::Real(2.0), Value::Blob(b"x".to_vec())]]), digest(&[a]));
    }
}
