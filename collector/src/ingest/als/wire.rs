//! Reads protobuf where it lies: fields of a message as slices of the bytes that came, without an allocation.
//!
//! An access log is read at hundreds of thousands of entries a second, and of most texts only the number in a block's
//! table of texts is wanted; `prost` would make a `String` of each. It is the cross-check in the tests.

/// Bytes that are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a protobuf message")]
pub struct BadWire;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message in their order.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field's number and value; `None` at the end.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, BadWire> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number)).ok_or(BadWire)?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| BadWire)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups: none of these messages has one.
            _ => return Err(BadWire),
        };
        Ok(Some((number, value)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, BadWire> {
        if let [byte @ 0..=0x7f, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0u64;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(BadWire)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], BadWire> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BadWire)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadWire> {
        self.take(N)?.try_into().map_err(|_| BadWire)
    }

    /// Calls `each` with every field.
    #[inline]
    pub fn each(mut self, mut each: impl FnMut(u32, Value<'a>) -> Result<(), BadWire>) -> Result<(), BadWire> {
        while let Some((number, value)) = self.next()? {
            each(number, value)?;
        }
        Ok(())
    }
}

impl<'a> Value<'a> {
    /// A text or message.
    #[inline]
    pub fn bytes(self) -> Result<&'a [u8], BadWire> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(BadWire),
        }
    }

    /// The fields of a message.
    #[inline]
    pub fn message(self) -> Result<Fields<'a>, BadWire> {
        self.bytes().map(Fields)
    }

    #[inline]
    pub fn number(self) -> Result<u64, BadWire> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(BadWire),
        }
    }

    /// `google.protobuf.UInt32Value` and its like.
    pub fn wrapped_number(self) -> Result<u64, BadWire> {
        let mut wrapped = 0;
        self.message()?.each(|number, value| {
            if number == 1 {
                wrapped = value.number()?;
            }
            Ok(())
        })?;
        Ok(wrapped)
    }

    /// `google.protobuf.Timestamp` or `Duration` in nanoseconds; what is beyond 292 years stops there.
    #[inline]
    pub fn nanos(self) -> Result<i64, BadWire> {
        let (mut seconds, mut nanos) = (0i64, 0i64);
        self.message()?.each(|number, value| {
            match number {
                1 => seconds = value.number()? as i64,
                2 => nanos = value.number()? as i64,
                _ => {}
            }
            Ok(())
        })?;
        Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos.clamp(-999_999_999, 999_999_999)))
    }

    /// An entry of a map with texts for keys.
    #[inline]
    pub fn map_entry(self) -> Result<(&'a [u8], &'a [u8]), BadWire> {
        let (mut key, mut entry) = (&[][..], &[][..]);
        self.message()?.each(|number, value| {
            match number {
                1 => key = value.bytes()?,
                2 => entry = value.bytes()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((key, entry))
    }
}
