//! Texts in English and Chinese, by key; the compiler sees to it that no text lacks a language.

use std::cell::Cell;
use std::fmt::Display;

/// Declares an enum of texts: `texts! { /// doc\n Name { Key: "English", "中文"; } }`.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $en:literal, $zh:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($key),* }

        impl $crate::i18n::Text for $name {
            fn english(self) -> &'static str {
                match self { $(Self::$key => $en),* }
            }
            fn chinese(self) -> &'static str {
                match self { $(Self::$key => $zh),* }
            }
        }

        impl $name {
            /// For the test that the holes of both languages are the same.
            #[cfg(test)]
            pub const ALL: &'static [Self] = &[$(Self::$key),*];
        }
    };
}

pub mod config;
pub mod frame;
pub mod graph;
pub mod mesh;
pub mod traces;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    pub fn parse(tag: &str) -> Option<Self> {
        match tag.split('-').next()? {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::English => Self::Chinese,
            Self::Chinese => Self::English,
        }
    }
}

pub trait Text: Copy {
    fn english(self) -> &'static str;
    fn chinese(self) -> &'static str;
}

thread_local! {
    static LANGUAGE: Cell<Language> = const { Cell::new(Language::English) };
}

pub fn language() -> Language {
    LANGUAGE.get()
}

/// The page is drawn anew after a change, so texts need not be reactive.
pub fn set_language(language: Language) {
    LANGUAGE.set(language);
}

/// The text in the reader's language.
pub fn t(text: impl Text) -> &'static str {
    match language() {
        Language::English => text.english(),
        Language::Chinese => text.chinese(),
    }
}

/// The text with `{0}`, `{1}`… filled in.
pub fn fill(text: impl Text, values: &[&dyn Display]) -> String {
    let mut filled = t(text).to_owned();
    for (i, value) in values.iter().enumerate() {
        filled = filled.replace(&format!("{{{i}}}"), &value.to_string());
    }
    filled
}

/// `one` for a single thing, otherwise `many` with the number.
pub fn count(number: usize, one: impl Text, many: impl Text) -> String {
    if number == 1 { t(one).to_owned() } else { fill(many, &[&number]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes(text: &str) -> Vec<usize> {
        (0..6).filter(|i| text.contains(&format!("{{{i}}}"))).collect()
    }

    fn check<T: Text + std::fmt::Debug>(texts: &[T]) {
        for text in texts {
            assert_eq!(holes(text.english()), holes(text.chinese()), "{text:?}");
            assert!(!text.english().is_empty() && !text.chinese().is_empty(), "{text:?}");
        }
    }

    #[test]
    fn both_languages_have_the_same_holes() {
        check(frame::Frame::ALL);
        check(graph::GraphText::ALL);
        check(graph::FlagText::ALL);
        check(mesh::MeshText::ALL);
        check(config::ConfigText::ALL);
        check(traces::TraceText::ALL);
    }

    #[test]
    fn fills_by_number_so_that_word_order_is_free() {
        texts! { Sample { Of: "{0} of {1}", "{1} 之 {0}"; } }
        assert_eq!(Sample::ALL.len(), 1);
        assert_eq!(fill(Sample::Of, &[&3, &7]), "3 of 7");
        set_language(Language::Chinese);
        assert_eq!(fill(Sample::Of, &[&3, &7]), "7 之 3");
        set_language(Language::English);
    }
}
