//! The shop's only shelf: which books there are, and what is known of them.

use serde::{Deserialize, Serialize};

/// What the list of products says about a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub id: u64,
    pub title: String,
    #[serde(rename = "descriptionHtml")]
    pub description_html: String,
}

/// What the details service knows about a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    pub id: u64,
    pub author: String,
    pub year: u32,
    #[serde(rename = "type")]
    pub kind: String,
    pub pages: u32,
    pub publisher: String,
    pub language: String,
    #[serde(rename = "ISBN-10")]
    pub isbn_10: String,
    #[serde(rename = "ISBN-13")]
    pub isbn_13: String,
}

#[must_use]
pub fn products() -> Vec<Product> {
    vec![Product {
        id: 0,
        title: "The Comedy of Errors".to_owned(),
        description_html: "Two pairs of twins, parted by a shipwreck as babies, walk the streets of \
            <a href=\"https://en.wikipedia.org/wiki/The_Comedy_of_Errors\">Ephesus</a> on the same day. \
            Nobody knows it, least of all they, and so wives scold the wrong husbands, servants fetch the wrong \
            purses, and a goldsmith wants his money from a man who never saw the chain. One of \
            <b>William Shakespeare</b>'s first plays, his shortest, and still among his funniest."
            .to_owned(),
    }]
}

#[must_use]
pub fn product(id: u64) -> Option<Product> {
    products().into_iter().find(|product| product.id == id)
}

/// Details of any book: the shelf is short, so every id is told the same story, as the sample has always done.
#[must_use]
pub fn details(id: u64) -> Details {
    Details {
        id,
        author: "William Shakespeare".to_owned(),
        year: 1595,
        kind: "paperback".to_owned(),
        pages: 200,
        publisher: "PublisherA".to_owned(),
        language: "English".to_owned(),
        isbn_10: "1234567890".to_owned(),
        isbn_13: "123-1234567890".to_owned(),
    }
}
