//! Where what stands in a JSON text ends (RFC 8259): without recursion, and with nothing built.
//!
//! Each function takes a text and a position, and gives the position after what it is named for.

use alloc::vec::Vec;

/// Where the first thing begins that is not JSON.
pub(super) struct Mistake(pub(super) usize);

type End = Result<usize, Mistake>;

#[inline]
pub(super) fn value(json: &[u8], at: usize) -> End {
    match json.get(at) {
        Some(b'{' | b'[') => nested(json, at),
        _ => scalar(json, at),
    }
}

/// A value that holds no others.
#[inline]
fn scalar(json: &[u8], at: usize) -> End {
    match json.get(at) {
        Some(b'"') => string(json, at).map(|string| string.end),
        Some(b'-') => number(json, at + 1),
        Some(b'0'..=b'9') => number(json, at),
        Some(b'n') => word(json, at, b"null"),
        Some(b't') => word(json, at, b"true"),
        Some(b'f') => word(json, at, b"false"),
        _ => Err(Mistake(at)),
    }
}

/// An object or an array, as deep as the text is long: it takes no stack.
fn nested(json: &[u8], mut at: usize) -> End {
    let mut open = Open::new();
    loop {
        let container = match json.get(at) {
            Some(b'{') => Some(Container::Object),
            Some(b'[') => Some(Container::Array),
            _ => None,
        };
        at = match container {
            None => scalar(json, at)?,
            Some(container) => match next(json, at + 1, container, true)? {
                Next::End(end) => end,
                Next::Item(item) => {
                    open.push(container);
                    at = item_value(json, item, container)?;
                    continue;
                }
            },
        };
        // A value has ended, and with it perhaps those around it.
        loop {
            let Some(container) = open.innermost() else {
                return Ok(at);
            };
            match next(json, at, container, false)? {
                Next::Item(item) => {
                    at = item_value(json, item, container)?;
                    break;
                }
                Next::End(end) => {
                    open.pop();
                    at = end;
                }
            }
        }
    }
}

/// What stands before the value of an item.
fn item_value(json: &[u8], at: usize, container: Container) -> End {
    match container {
        Container::Object => colon(json, string(json, at)?.end),
        Container::Array => Ok(at),
    }
}

/// What holds items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Container {
    Object,
    Array,
}

/// The containers that are open, whatever their depth: a stack of bits, which are set for objects.
///
/// The innermost are in a word, so that a body of many small ones allocates nothing.
struct Open {
    /// Its highest bit that is set stands below the stack.
    word: u64,
    full_words: Vec<u64>,
}

impl Open {
    const EMPTY_WORD: u64 = 1;

    fn new() -> Self {
        Self {
            word: Self::EMPTY_WORD,
            full_words: Vec::new(),
        }
    }

    fn push(&mut self, container: Container) {
        if self.word.leading_zeros() == 0 {
            self.full_words.push(self.word);
            self.word = Self::EMPTY_WORD;
        }
        self.word = self.word << 1 | u64::from(container == Container::Object);
    }

    fn innermost(&self) -> Option<Container> {
        match (self.word, self.word & 1) {
            (Self::EMPTY_WORD, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }

    fn pop(&mut self) {
        self.word >>= 1;
        if self.word == Self::EMPTY_WORD {
            self.word = self.full_words.pop().unwrap_or(Self::EMPTY_WORD);
        }
    }
}

/// What comes next in a container.
pub(super) enum Next {
    /// An item, which begins here.
    Item(usize),
    /// Nothing: it ends here.
    End(usize),
}

/// What comes next in a container, at its first item or behind one.
pub(super) fn next(
    json: &[u8],
    at: usize,
    container: Container,
    is_first: bool,
) -> Result<Next, Mistake> {
    let close = match container {
        Container::Object => b'}',
        Container::Array => b']',
    };
    let at = space(json, at);
    match json.get(at) {
        Some(byte) if *byte == close => Ok(Next::End(at + 1)),
        Some(b',') if !is_first => Ok(Next::Item(space(json, at + 1))),
        Some(_) if is_first => Ok(Next::Item(at)),
        _ => Err(Mistake(at)),
    }
}

/// The colon behind a name, and the space around it.
pub(super) fn colon(json: &[u8], at: usize) -> End {
    let at = space(json, at);
    match json.get(at) {
        Some(b':') => Ok(space(json, at + 1)),
        _ => Err(Mistake(at)),
    }
}

/// The space behind the last value, which the text ends with.
pub(super) fn end(json: &[u8], at: usize) -> End {
    let at = space(json, at);
    if at == json.len() {
        Ok(at)
    } else {
        Err(Mistake(at))
    }
}

pub(super) fn space(json: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = json.get(at) {
        at += 1;
    }
    at
}

/// A string that was found.
pub(super) struct Quoted {
    /// The position behind its closing quote.
    pub(super) end: usize,
    pub(super) has_escapes: bool,
}

#[inline]
pub(super) fn string(json: &[u8], at: usize) -> Result<Quoted, Mistake> {
    if json.get(at) != Some(&b'"') {
        return Err(Mistake(at));
    }
    let at = at + 1;
    let at = at + ordinary(json.get(at..).unwrap_or_default());
    if json.get(at) == Some(&b'"') {
        return Ok(Quoted {
            end: at + 1,
            has_escapes: false,
        });
    }
    string_from_escape(json, at).map(|end| Quoted {
        end,
        has_escapes: true,
    })
}

/// What is left of a string from its first escape on.
fn string_from_escape(json: &[u8], mut at: usize) -> End {
    loop {
        match json.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape(json, at + 1)?,
            Some(b' '..) => at += ordinary(json.get(at..).unwrap_or_default()),
            _ => return Err(Mistake(at)),
        }
    }
}

/// How many bytes of a string stand for themselves, up to a quote, a backslash or a control
/// character.
pub(super) fn ordinary(json: &[u8]) -> usize {
    let mut rest = json;
    while let Some((word, after)) = rest.split_first_chunk() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return json.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let is_ordinary = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..b' ');
    let count = rest.iter().take_while(|byte| is_ordinary(byte)).count();
    json.len() - rest.len() + count
}

/// Eight bytes at a time: the lowest bit that is set is in the first byte that is not ordinary.
const fn special_bytes(word: u64) -> u64 {
    // The quote and the space change places, so that the quote follows the control characters.
    let control_or_quote = less_than(word ^ each(b'"' ^ b' '), b' ' + 1);
    let backslash = less_than(word ^ each(b'\\'), 1);
    control_or_quote | backslash
}

/// The highest bit of each byte that is less than `bound`, which is at most 128. Bytes above one that
/// is less may be taken for less, too, for they are borrowed from.
const fn less_than(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(each(bound)) & !word & each(0x80)
}

/// A word of which each byte is this one.
const fn each(byte: u8) -> u64 {
    u64::MAX / 0xff * byte as u64
}

/// What stands behind a backslash.
fn escape(json: &[u8], at: usize) -> End {
    match json.get(at..).unwrap_or_default() {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(at + 1),
        [b'u', digits @ ..] if are_hexadecimal(digits.first_chunk()) => Ok(at + 5),
        _ => Err(Mistake(at)),
    }
}

fn are_hexadecimal(digits: Option<&[u8; 4]>) -> bool {
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

/// A number behind its sign.
fn number(json: &[u8], at: usize) -> End {
    let mut at = match json.get(at) {
        Some(b'0') => at + 1,
        _ => digits(json, at)?,
    };
    if json.get(at) == Some(&b'.') {
        at = digits(json, at + 1)?;
    }
    if let Some(b'e' | b'E') = json.get(at) {
        let has_sign = matches!(json.get(at + 1), Some(b'+' | b'-'));
        at = digits(json, at + 1 + usize::from(has_sign))?;
    }
    Ok(at)
}

/// One digit or more.
fn digits(json: &[u8], start: usize) -> End {
    let mut at = start;
    while let Some(b'0'..=b'9') = json.get(at) {
        at += 1;
    }
    if at > start { Ok(at) } else { Err(Mistake(at)) }
}

fn word(json: &[u8], at: usize, word: &[u8]) -> End {
    match json.get(at..at + word.len()) {
        Some(found) if found == word => Ok(at + word.len()),
        _ => Err(Mistake(at)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn what_is_open_is_closed_in_reverse() {
        let is_object = |depth: usize| depth % 3 == 0;
        for depth in [0, 1, 63, 64, 65, 128, 129, 1000] {
            let mut open = Open::new();
            for depth in 0..depth {
                open.push(if is_object(depth) {
                    Container::Object
                } else {
                    Container::Array
                });
            }
            for depth in (0..depth).rev() {
                let innermost = open.innermost();
                assert_eq!(
                    innermost == Some(Container::Object),
                    is_object(depth),
                    "{depth}"
                );
                open.pop();
            }
            assert_eq!(open.innermost(), None);
        }
    }

    proptest! {
        #[test]
        fn ordinary_bytes_are_counted_by_the_word_as_one_by_one(
            // Those that are not ordinary, and those around them, come up often.
            bytes in vec(prop_oneof![Just(b'a'), select(&b"\x00\x01\x1f !\"#[\\]\x7f\x80\x9f\xa0\xa2\xdc\xff"[..])], 0..40),
        ) {
            let one_by_one = bytes.iter().take_while(|byte| !b"\"\\".contains(byte) && **byte >= 0x20);
            prop_assert_eq!(ordinary(&bytes), one_by_one.count());
        }
    }
}
