//! Reads protobuf's wire format where it lies, copying nothing.

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the message is cut off")]
    CutOff,
    #[error("a number has too many bytes")]
    LongVarint,
    #[error("wire type {0} is not known")]
    WireType(u8),
    #[error("a field has the number 0")]
    FieldZero,
    #[error("field {0} has another type than it should")]
    FieldType(u32),
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message, in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Number and value of the next field; `None` at the end.
    ///
    /// # Errors
    /// When what follows is no field.
    pub fn next_field(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::LongVarint)?;
        if number == 0 {
            return Err(WireError::FieldZero);
        }
        let value = match (key & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::CutOff)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(other)),
        };
        Ok(Some((number, value)))
    }

    /// The numbers of a packed field.
    ///
    /// # Errors
    /// When a number is cut off.
    pub fn each_varint(packed: &'a [u8], mut work: impl FnMut(u64)) -> Result<(), WireError> {
        let mut numbers = Self::new(packed);
        while !numbers.rest.is_empty() {
            work(numbers.varint()?);
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        // Nearly all keys, lengths and numbers are below 128.
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for (index, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { WireError::CutOff } else { WireError::LongVarint })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::CutOff)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// Values of the type that a field must have.
impl<'a> Value<'a> {
    pub fn bytes(self, field: u32) -> Result<&'a [u8], WireError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WireError::FieldType(field)) }
    }

    pub fn varint(self, field: u32) -> Result<u64, WireError> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(WireError::FieldType(field)) }
    }

    pub fn fixed64(self, field: u32) -> Result<u64, WireError> {
        if let Self::Fixed64(number) = self { Ok(number) } else { Err(WireError::FieldType(field)) }
    }

    pub fn fixed32(self, field: u32) -> Result<u32, WireError> {
        if let Self::Fixed32(number) = self { Ok(number) } else { Err(WireError::FieldType(field)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, WireError> {
        let mut fields = Fields::new(bytes);
        let mut all = Vec::new();
        while let Some(field) = fields.next_field()? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn all_types_are_read() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x25, 2, 0, 0, 0];
        let expected = [(1, Value::Varint(150)), (2, Value::Bytes(b"hi")), (3, Value::Fixed64(1)), (4, Value::Fixed32(2))];
        assert_eq!(fields(&message).unwrap(), expected);
        let largest = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fields(&largest).unwrap(), [(1, Value::Varint(u64::MAX))]);
    }

    #[test]
    fn what_is_no_message_is_told() {
        assert_eq!(fields(&[0x08]), Err(WireError::CutOff));
        assert_eq!(fields(&[0x12, 0x05, b'h']), Err(WireError::CutOff));
        assert_eq!(fields(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Err(WireError::CutOff));
        assert_eq!(fields(&[0x08; 1]), Err(WireError::CutOff));
        assert_eq!(fields(&[0xff; 11]), Err(WireError::LongVarint));
        assert_eq!(fields(&[0x0b]), Err(WireError::WireType(3)));
        assert_eq!(fields(&[0x00, 0x00]), Err(WireError::FieldZero));
        assert_eq!(Value::Varint(1).bytes(7), Err(WireError::FieldType(7)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&bytes);
        }
    }
}
