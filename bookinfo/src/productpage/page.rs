//! The HTML of the product page: one file, no script, nothing fetched.

use std::fmt::Write as _;

use crate::books::{Details, Product};
use crate::reviews::{Rating, Review, Reviews};

pub const STYLE: &str = include_str!("bookinfo.css");

/// What the page shows; a part that failed carries the words to show instead.
pub struct View<'a> {
    pub product: &'a Product,
    pub user: Option<&'a str>,
    pub details: Result<Details, String>,
    pub reviews: Result<Reviews, String>,
}

pub fn productpage(view: &View<'_>) -> String {
    let body = format!(
        "{header}<main><section class=\"hero\"><p class=\"kicker\">Book of the day</p><h1>{title}</h1>\
         <p class=\"summary\">{summary}</p></section><div class=\"columns\">{details}{reviews}</div></main>",
        header = header(view.user),
        title = escape(&view.product.title),
        // Ours, and meant as HTML.
        summary = view.product.description_html,
        details = details(&view.details),
        reviews = reviews(&view.reviews),
    );
    document(&view.product.title, &body)
}

pub fn index(products: &[Product]) -> String {
    let mut list = String::new();
    for product in products {
        let _ = write!(
            list,
            "<li><a href=\"/productpage\">{}</a><p class=\"summary\">{}</p></li>",
            escape(&product.title),
            product.description_html
        );
    }
    let body = format!(
        "{}<main><section class=\"hero\"><p class=\"kicker\">A bookshop of small services</p><h1>Bookinfo</h1>\
         <p class=\"summary\">Four services make one page: this one asks <b>details</b> and <b>reviews</b>, and \
         reviews asks <b>ratings</b>.</p></section><section class=\"card\"><h2>On the shelf</h2>\
         <ul class=\"shelf\">{list}</ul></section></main>",
        header(None)
    );
    document("Bookinfo", &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{} · Bookinfo</title>\
         <link rel=\"icon\" href=\"data:,\"><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escape(title)
    )
}

fn header(user: Option<&str>) -> String {
    let session = match user {
        Some(user) => format!(
            "<span class=\"user\">Signed in as <b>{}</b></span><a class=\"button quiet\" href=\"/logout\">Sign out</a>",
            escape(user)
        ),
        None => "<form method=\"post\" action=\"/login\">\
                 <input name=\"username\" placeholder=\"User name\" aria-label=\"User name\" required maxlength=\"64\" \
                 pattern=\"[A-Za-z0-9._@\\-]+\" autocomplete=\"username\">\
                 <input name=\"passwd\" type=\"password\" placeholder=\"Any password\" aria-label=\"Password\" \
                 autocomplete=\"current-password\"><button class=\"button\">Sign in</button></form>"
            .to_owned(),
    };
    format!("<header><a class=\"brand\" href=\"/\"><i></i>Bookinfo</a><nav>{session}</nav></header>")
}

fn details(details: &Result<Details, String>) -> String {
    let inside = match details {
        Ok(d) => {
            let mut rows = String::new();
            for (name, value) in [
                ("Author", d.author.clone()),
                ("Year", d.year.to_string()),
                ("Type", d.kind.clone()),
                ("Pages", d.pages.to_string()),
                ("Publisher", d.publisher.clone()),
                ("Language", d.language.clone()),
                ("ISBN-10", d.isbn_10.clone()),
                ("ISBN-13", d.isbn_13.clone()),
            ] {
                let _ = write!(rows, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
            }
            format!("<dl>{rows}</dl>")
        }
        Err(apology) => failed("Error fetching product details", apology),
    };
    format!("<section class=\"card\" id=\"details\"><h2>Book details</h2>{inside}</section>")
}

fn reviews(reviews: &Result<Reviews, String>) -> String {
    let inside = match reviews {
        Ok(reviews) => {
            let mut quotes: String = reviews.reviews.iter().map(review).collect();
            let _ = write!(quotes, "<p class=\"served\">Reviews served by <code>{}</code></p>", escape(&reviews.podname));
            quotes
        }
        Err(apology) => failed("Error fetching product reviews", apology),
    };
    format!("<section class=\"card\" id=\"reviews\"><h2>Book reviews</h2>{inside}</section>")
}

fn review(review: &Review) -> String {
    let rating = match &review.rating {
        None => String::new(),
        Some(Rating::Missing { error }) => format!("<p class=\"nostars\">{}</p>", escape(error)),
        Some(Rating::Stars { stars, color }) => stars_line(*stars, color),
    };
    format!("<blockquote><p>{}</p>{rating}<footer>{}</footer></blockquote>", escape(&review.text), escape(&review.reviewer))
}

fn stars_line(stars: u8, color: &str) -> String {
    let full = usize::from(stars.min(5));
    let class = if color == "red" { "red" } else { "black" };
    format!(
        "<p class=\"stars {class}\" aria-label=\"{full} of 5 stars\">{}<span>{}</span></p>",
        "★".repeat(full),
        "★".repeat(5 - full)
    )
}

fn failed(title: &str, apology: &str) -> String {
    format!("<div class=\"failed\"><h3>{title}!</h3><p>{}</p></div>", escape(apology))
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_escaped_and_stars_are_drawn() {
        let reviews = Reviews {
            id: "0".into(),
            podname: "<pod>".into(),
            clustername: "null".into(),
            reviews: vec![Review {
                reviewer: "A & B".into(),
                text: "<script>".into(),
                rating: Some(Rating::Stars { stars: 4, color: "red".into() }),
            }],
        };
        let product = crate::books::product(0).unwrap();
        let view = View { product: &product, user: Some("luffy"), details: Err("Sorry".into()), reviews: Ok(reviews) };
        let html = productpage(&view);
        assert!(html.contains("&lt;script&gt;") && html.contains("A &amp; B") && html.contains("&lt;pod&gt;"));
        assert!(html.contains("<p class=\"stars red\" aria-label=\"4 of 5 stars\">★★★★<span>★</span></p>"));
        assert!(html.contains("Error fetching product details!") && html.contains("Signed in as <b>luffy</b>"));
        assert!(!html.contains("<script"));
    }
}
