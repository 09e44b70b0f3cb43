//! From the text of a template to its nodes.

use super::{TemplateError, functions, wrong};

/// How deep blocks and parentheses may be nested.
const DEPTH_MAX: usize = 50;
/// Variables that rules' templates begin with, as Prometheus defines them.
pub(super) const GIVEN: [&str; 4] = ["labels", "externalLabels", "externalURL", "value"];

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    Print(Pipeline),
    If { when: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { of: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipeline, each: Vec<Node>, otherwise: Vec<Node> },
    Use { name: String, with: Option<Pipeline> },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    /// Variables that are set; a new one each time, unless `is_assignment`.
    pub sets: Vec<String>,
    pub is_assignment: bool,
    /// Each a function or value with its arguments; what one yields is the last argument of the next.
    pub commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub base: Base,
    pub fields: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Base {
    Dot,
    Nil,
    Variable(String),
    Function(String),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Group(Box<Pipeline>),
}

type Defined = Vec<(String, Vec<Node>)>;

/// The nodes of a template, and the templates that it defines.
pub(super) fn template(text: &str) -> Result<(Vec<Node>, Defined), TemplateError> {
    let mut parser =
        Parser { pieces: pieces(text)?, next: 0, depth: 0, variables: GIVEN.map(str::to_owned).into(), defined: Vec::new() };
    let (nodes, end) = parser.block()?;
    match end {
        Ending::Text => {}
        Ending::Word => return wrong("unexpected {{end}}"),
        Ending::Else(_) => return wrong("unexpected {{else}}"),
    }
    Ok((nodes, parser.defined))
}

/// Text, or the tokens of one action.
enum Piece {
    Text(String),
    Action(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Field(String),
    Variable(String),
    Text(String),
    Int(i64),
    Float(f64),
    Dot,
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
    /// Fields belong to what stands before them without a space.
    Space,
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let (mut pieces, mut rest, mut is_trimmed) = (Vec::new(), text, false);
    loop {
        let Some(open) = rest.find("{{") else {
            pieces.push(Piece::Text(trimmed(rest, is_trimmed, false).to_owned()));
            return Ok(pieces);
        };
        let inner = &rest[open + 2..];
        let trims = inner.starts_with('-') && inner[1..].starts_with(char::is_whitespace);
        pieces.push(Piece::Text(trimmed(&rest[..open], is_trimmed, trims).to_owned()));
        let inner = if trims { &inner[1..] } else { inner };
        let (tokens, after, trims_next) = match inner.trim_start().strip_prefix("/*") {
            Some(comment) => remark(comment)?,
            None => tokens(inner)?,
        };
        if !tokens.is_empty() {
            pieces.push(Piece::Action(tokens));
        }
        (rest, is_trimmed) = (after, trims_next);
    }
}

fn trimmed(text: &str, start: bool, end: bool) -> &str {
    let text = if start { text.trim_start() } else { text };
    if end { text.trim_end() } else { text }
}

/// The rest behind a remark, without any token.
fn remark(text: &str) -> Result<(Vec<Token>, &str, bool), TemplateError> {
    let Some((_, after)) = text.split_once("*/") else { return wrong("unclosed comment") };
    let after = after.trim_start();
    let trims = after.strip_prefix("-}}");
    match trims.or_else(|| after.strip_prefix("}}")) {
        Some(rest) => Ok((Vec::new(), rest, trims.is_some())),
        None => wrong("comment ends before closing delimiter"),
    }
}

/// The tokens up to the end of an action, what stands behind it, and whether space behind it goes.
fn tokens(text: &str) -> Result<(Vec<Token>, &str, bool), TemplateError> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    loop {
        let Some(first) = rest.chars().next() else { return wrong("unclosed action") };
        if first.is_whitespace() {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("-}}") {
                return Ok((tokens, after, true));
            }
            tokens.push(Token::Space);
            continue;
        }
        if let Some(after) = rest.strip_prefix("}}") {
            return Ok((tokens, after, false));
        }
        let (token, after) = token(first, rest)?;
        tokens.push(token);
        rest = after;
    }
}

fn token(first: char, rest: &str) -> Result<(Token, &str), TemplateError> {
    let behind = &rest[first.len_utf8()..];
    let name = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let is_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    Ok(match first {
        '(' => (Token::Open, behind),
        ')' => (Token::Close, behind),
        '|' => (Token::Pipe, behind),
        ',' => (Token::Comma, behind),
        '=' => (Token::Assign, behind),
        ':' if behind.starts_with('=') => (Token::Declare, &behind[1..]),
        '"' | '`' | '\'' => return quoted(first, behind),
        '$' => {
            let (name, after) = behind.split_at(name(behind));
            (Token::Variable(name.to_owned()), after)
        }
        '.' if is_digit(behind) => return numeral(rest),
        '.' => match behind.split_at(name(behind)) {
            ("", after) => (Token::Dot, after),
            (name, after) => (Token::Field(name.to_owned()), after),
        },
        '-' | '+' if is_digit(behind) || behind.starts_with('.') => return numeral(rest),
        digit if digit.is_ascii_digit() => return numeral(rest),
        letter if letter.is_alphabetic() || letter == '_' => {
            let (word, after) = rest.split_at(name(rest));
            (Token::Word(word.to_owned()), after)
        }
        other => return wrong(format!("unexpected {other:?} in an action")),
    })
}

fn numeral(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut end = 0;
    let mut before = ' ';
    for c in text.chars() {
        let is_sign = matches!(c, '+' | '-') && (end == 0 || matches!(before, 'e' | 'E'));
        if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || is_sign) {
            break;
        }
        before = c;
        end += c.len_utf8();
    }
    let (digits, rest) = text.split_at(end);
    let token = match (digits.parse(), digits.parse()) {
        (Ok(int), _) => Token::Int(int),
        (_, Ok(float)) => Token::Float(float),
        _ => return wrong(format!("bad number syntax: {digits:?}")),
    };
    Ok((token, rest))
}

fn quoted(quote: char, text: &str) -> Result<(Token, &str), TemplateError> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                let behind = &text[at + c.len_utf8()..];
                let token = match (quote, value.chars().next()) {
                    ('\'', Some(c)) => Token::Int(i64::from(u32::from(c))),
                    _ => Token::Text(value),
                };
                return Ok((token, behind));
            }
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(c @ ('\\' | '"' | '\'')) => value.push(c),
                _ => return wrong("an escape in a string is none"),
            },
            _ => value.push(c),
        }
    }
    wrong("unterminated quoted string")
}

/// What ended a block.
enum Ending {
    /// That of the whole.
    Text,
    /// The word `end`.
    Word,
    /// With what follows the word.
    Else(Vec<Token>),
}

struct Parser {
    pieces: Vec<Piece>,
    next: usize,
    depth: usize,
    variables: Vec<String>,
    defined: Defined,
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, Ending), TemplateError> {
        self.deeper()?;
        let known = self.variables.len();
        let mut nodes = Vec::new();
        let end = loop {
            let Some(piece) = self.pieces.get_mut(self.next) else { break Ending::Text };
            self.next += 1;
            match piece {
                Piece::Text(text) if text.is_empty() => {}
                Piece::Text(text) => nodes.push(Node::Text(std::mem::take(text))),
                Piece::Action(tokens) => {
                    let tokens = std::mem::take(tokens);
                    let mut words = tokens.iter().filter(|token| **token != Token::Space);
                    match words.next() {
                        Some(Token::Word(word)) if word == "end" => break Ending::Word,
                        Some(Token::Word(word)) if word == "else" => break Ending::Else(after_first(&tokens)),
                        Some(Token::Word(word)) if is_block(word) => nodes.extend(self.control(word, &after_first(&tokens))?),
                        Some(_) => nodes.push(Node::Print(self.pipeline(&tokens)?)),
                        None => return wrong("missing value for command"),
                    }
                }
            }
        };
        self.depth -= 1;
        self.variables.truncate(known);
        Ok((nodes, end))
    }

    fn deeper(&mut self) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { wrong(format!("a template may be nested {DEPTH_MAX} levels deep")) } else { Ok(()) }
    }

    fn control(&mut self, word: &str, tokens: &[Token]) -> Result<Option<Node>, TemplateError> {
        match word {
            "template" => self.named(tokens).map(Some),
            "define" => self.define(tokens).map(|()| None),
            _ => {
                let known = self.variables.len();
                let pipeline = self.pipeline(tokens)?;
                let node = self.branches(word, pipeline)?;
                self.variables.truncate(known);
                Ok(Some(node))
            }
        }
    }

    fn branches(&mut self, word: &str, pipeline: Pipeline) -> Result<Node, TemplateError> {
        let (then, end) = self.block()?;
        let otherwise = match end {
            Ending::Word => Vec::new(),
            Ending::Text => return wrong(format!("{{{{{word}}}}} without {{{{end}}}}")),
            Ending::Else(tokens) => self.otherwise(word, &tokens)?,
        };
        Ok(match word {
            "if" => Node::If { when: pipeline, then, otherwise },
            "with" => Node::With { of: pipeline, then, otherwise },
            _ => Node::Range { over: pipeline, each: then, otherwise },
        })
    }

    /// What stands behind `else`, up to the end.
    fn otherwise(&mut self, word: &str, tokens: &[Token]) -> Result<Vec<Node>, TemplateError> {
        let mut words = tokens.iter().filter(|token| **token != Token::Space);
        match words.next() {
            None => match self.block()? {
                (nodes, Ending::Word) => Ok(nodes),
                _ => wrong(format!("{{{{{word}}}}} without {{{{end}}}}")),
            },
            Some(Token::Word(next)) if next == word && word != "range" => {
                self.deeper()?;
                let pipeline = self.pipeline(&after_first(tokens))?;
                let node = self.branches(word, pipeline)?;
                self.depth -= 1;
                Ok(vec![node])
            }
            Some(_) => wrong("unexpected words behind {{else}}"),
        }
    }

    fn named(&mut self, tokens: &[Token]) -> Result<Node, TemplateError> {
        let at = tokens.iter().position(|token| *token != Token::Space);
        let Some((Token::Text(name), rest)) = at.and_then(|at| Some((tokens.get(at)?, tokens.get(at + 1..)?))) else {
            return wrong("{{template}} needs a name in quotes");
        };
        let has_argument = rest.iter().any(|token| *token != Token::Space);
        let with = if has_argument { Some(self.pipeline(rest)?) } else { None };
        Ok(Node::Use { name: name.clone(), with })
    }

    fn define(&mut self, tokens: &[Token]) -> Result<(), TemplateError> {
        let Some(Token::Text(name)) = tokens.iter().find(|token| **token != Token::Space) else {
            return wrong("{{define}} needs a name in quotes");
        };
        // Its only variable is `$`.
        let outer = std::mem::take(&mut self.variables);
        let (nodes, end) = self.block()?;
        self.variables = outer;
        if !matches!(end, Ending::Word) {
            return wrong("{{define}} without {{end}}");
        }
        self.defined.push((name.clone(), nodes));
        Ok(())
    }

    fn pipeline(&mut self, tokens: &[Token]) -> Result<Pipeline, TemplateError> {
        let (pipeline, rest) = self.pipe(tokens)?;
        if rest.is_empty() { Ok(pipeline) } else { wrong("unexpected right paren") }
    }

    /// A pipeline up to its end or a closing parenthesis.
    fn pipe<'t>(&mut self, tokens: &'t [Token]) -> Result<(Pipeline, &'t [Token]), TemplateError> {
        let (sets, is_assignment, mut rest) = self.sets(tokens)?;
        let mut pipeline = Pipeline { sets, is_assignment, commands: vec![Vec::new()] };
        while let Some((token, after)) = rest.split_first() {
            match token {
                Token::Close => break,
                Token::Space => rest = after,
                Token::Pipe => {
                    pipeline.commands.push(Vec::new());
                    rest = after;
                }
                _ => {
                    let (operand, after) = self.operand(rest)?;
                    if let Some(command) = pipeline.commands.last_mut() {
                        command.push(operand);
                    }
                    rest = after;
                }
            }
        }
        let is_function = |command: &Vec<Operand>| matches!(command.first(), Some(Operand { base: Base::Function(_), .. }));
        for (place, command) in pipeline.commands.iter().enumerate() {
            match command.len() {
                0 => return wrong("missing value for command"),
                1 if place == 0 => {}
                _ if is_function(command) => {}
                1 => return wrong("a value stands behind `|` where a function was expected"),
                _ => return wrong("can't give argument to non-function"),
            }
        }
        self.variables.extend(pipeline.sets.iter().filter(|_| !pipeline.is_assignment).cloned());
        Ok((pipeline, rest))
    }

    /// `$x :=`, `$i, $x :=` or `$x =`.
    fn sets<'t>(&self, tokens: &'t [Token]) -> Result<(Vec<String>, bool, &'t [Token]), TemplateError> {
        let end = tokens.iter().position(|token| matches!(token, Token::Declare | Token::Assign));
        let Some((end, is_assignment)) = end.map(|end| (end, tokens[end] == Token::Assign)) else {
            return Ok((Vec::new(), false, tokens));
        };
        let mut names = Vec::new();
        for token in &tokens[..end] {
            match token {
                Token::Variable(name) if is_assignment && !self.variables.contains(name) => {
                    return wrong(format!("undefined variable \"${name}\""));
                }
                Token::Variable(name) => names.push(name.clone()),
                Token::Space | Token::Comma => {}
                _ => return wrong("only variables can be set"),
            }
        }
        if names.is_empty() || names.len() > 2 {
            return wrong("one or two variables can be set");
        }
        Ok((names, is_assignment, &tokens[end + 1..]))
    }

    fn operand<'t>(&mut self, tokens: &'t [Token]) -> Result<(Operand, &'t [Token]), TemplateError> {
        let Some((first, mut rest)) = tokens.split_first() else { return wrong("missing value for command") };
        let mut fields = Vec::new();
        let base = match first {
            Token::Dot => Base::Dot,
            Token::Field(name) => {
                fields.push(name.clone());
                Base::Dot
            }
            Token::Variable(name) if name.is_empty() || self.variables.contains(name) => Base::Variable(name.clone()),
            Token::Variable(name) => return wrong(format!("undefined variable \"${name}\"")),
            Token::Text(text) => Base::Text(text.clone()),
            Token::Int(value) => Base::Int(*value),
            Token::Float(value) => Base::Float(*value),
            Token::Word(word) => match word.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                word if functions::is_known(word) => Base::Function(word.to_owned()),
                word => return wrong(format!("function \"{word}\" not defined")),
            },
            Token::Open => {
                self.deeper()?;
                let (pipeline, after) = self.pipe(rest)?;
                self.depth -= 1;
                let Some((Token::Close, after)) = after.split_first() else { return wrong("unclosed left paren") };
                rest = after;
                Base::Group(Box::new(pipeline))
            }
            _ => return wrong("unexpected sign in an action"),
        };
        while let Some((Token::Field(name), after)) = rest.split_first() {
            fields.push(name.clone());
            rest = after;
        }
        Ok((Operand { base, fields }, rest))
    }
}

fn is_block(word: &str) -> bool {
    matches!(word, "if" | "with" | "range" | "template" | "define")
}

fn after_first(tokens: &[Token]) -> Vec<Token> {
    tokens.iter().skip_while(|token| **token == Token::Space).skip(1).cloned().collect()
}
