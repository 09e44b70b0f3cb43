//! How wide a text will be, near enough to cut it off or to draw a pill around it before the browser knows.

/// Width of a text in the dashboard's font at 600 weight.
pub fn width(text: &str, size: f64) -> f64 {
    text.chars().map(em).sum::<f64>() * size
}

/// The text, or as much of it as fits with an ellipsis.
pub fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = em('…') * size;
    for letter in text.chars() {
        used += em(letter) * size;
        if used > room {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

fn em(letter: char) -> f64 {
    match letter {
        'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '!' | '\'' | '|' | 'I' => 0.30,
        ' ' | '\u{202f}' => 0.26,
        't' | 'f' | 'r' | '(' | ')' | '/' | '[' | ']' => 0.40,
        '-' | '·' => 0.46,
        'm' | 'M' | 'w' => 0.90,
        'W' | '%' | '@' => 0.98,
        '…' => 0.90,
        'A'..='Z' => 0.71,
        '0'..='9' => 0.64,
        'a'..='z' | '_' => 0.60,
        letter if letter as u32 >= 0x2e80 => 1.0,
        _ => 0.62,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_to_their_room() {
        assert_eq!(cut("productpage", 13.0, 140.0), "productpage");
        assert_eq!(cut("istio-ingressgateway-internal", 13.0, 140.0), "istio-ingressgatew…");
        assert!(width(&cut("wwwwwwwwwwwwwwwwwwww", 13.0, 100.0), 13.0) <= 100.0);
    }
}
