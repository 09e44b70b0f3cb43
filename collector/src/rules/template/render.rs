//! Fills a template in.

use super::parse::{Base, GIVEN, Node, Operand, Pipeline};
use super::value::Value;
use super::{Facts, RENDERED_BYTES_MAX, STEPS_MAX, TemplateError, functions, wrong};

/// How deep templates may use one another.
const USES_MAX: usize = 20;

pub(super) fn render(nodes: &[Node], defined: &[(String, Vec<Node>)], facts: &Facts<'_>) -> Result<String, TemplateError> {
    let dot = Value::map([
        ("Labels", facts.labels.clone()),
        ("ExternalLabels", Value::map::<&str>([])),
        ("ExternalURL", Value::text(facts.external_url)),
        ("Value", Value::Float(facts.value)),
    ]);
    let given = ["Labels", "ExternalLabels", "ExternalURL", "Value"];
    let mut variables = vec![(String::new(), dot.clone())];
    for (name, field) in GIVEN.into_iter().zip(given) {
        variables.push((name.to_owned(), dot.field(field)?));
    }
    let mut rendering = Rendering { facts, defined, out: String::new(), variables, steps: 0, uses: 0 };
    rendering.all(nodes, &dot)?;
    Ok(rendering.out)
}

struct Rendering<'a> {
    facts: &'a Facts<'a>,
    defined: &'a [(String, Vec<Node>)],
    out: String,
    /// The one without a name is `$`.
    variables: Vec<(String, Value)>,
    steps: usize,
    uses: usize,
}

impl Rendering<'_> {
    fn all(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let known = self.variables.len();
        for node in nodes {
            self.node(node, dot)?;
        }
        self.variables.truncate(known);
        Ok(())
    }

    fn step(&mut self) -> Result<(), TemplateError> {
        self.steps += 1;
        if self.steps > STEPS_MAX { wrong("the template takes too many steps") } else { Ok(()) }
    }

    fn put(&mut self, text: &str) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > RENDERED_BYTES_MAX {
            return wrong(format!("the template makes more than {RENDERED_BYTES_MAX} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        self.step()?;
        match node {
            Node::Text(text) => self.put(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.sets.is_empty() { self.put(&value.to_string()) } else { Ok(()) }
            }
            Node::If { when, then, otherwise } => self.within(|this| {
                let value = this.pipeline(when, dot)?;
                this.all(if value.is_true() { then } else { otherwise }, dot)
            }),
            Node::With { of, then, otherwise } => self.within(|this| {
                let value = this.pipeline(of, dot)?;
                if value.is_true() { this.all(then, &value) } else { this.all(otherwise, dot) }
            }),
            Node::Range { over, each, otherwise } => self.within(|this| this.range(over, each, otherwise, dot)),
            Node::Use { name, with } => self.other(name, with.as_ref(), dot),
        }
    }

    /// Variables that are set within end with it.
    fn within(&mut self, run: impl FnOnce(&mut Self) -> Result<(), TemplateError>) -> Result<(), TemplateError> {
        let known = self.variables.len();
        run(self)?;
        self.variables.truncate(known);
        Ok(())
    }

    fn range(&mut self, over: &Pipeline, each: &[Node], otherwise: &[Node], dot: &Value) -> Result<(), TemplateError> {
        let commands = Pipeline { sets: Vec::new(), ..over.clone() };
        let items: Vec<(Value, Value)> = match self.pipeline(&commands, dot)? {
            Value::List(items) => items.into_iter().enumerate().map(|(place, item)| (Value::Int(place as i64), item)).collect(),
            Value::Map(map) => map.into_iter().map(|(key, value)| (Value::Text(key), value)).collect(),
            Value::Nil => Vec::new(),
            other => return wrong(format!("range can't iterate over {}", other.kind())),
        };
        if items.is_empty() {
            return self.all(otherwise, dot);
        }
        for (key, item) in items {
            self.step()?;
            let known = self.variables.len();
            match over.sets.as_slice() {
                [one] => self.variables.push((one.clone(), item.clone())),
                [first, second] => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), item.clone()));
                }
                _ => {}
            }
            self.all(each, &item)?;
            self.variables.truncate(known);
        }
        Ok(())
    }

    fn other(&mut self, name: &str, with: Option<&Pipeline>, dot: &Value) -> Result<(), TemplateError> {
        let Some((_, nodes)) = self.defined.iter().rev().find(|(known, _)| known == name) else {
            return wrong(format!("template \"{name}\" not defined"));
        };
        let dot = match with {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Nil,
        };
        if self.uses == USES_MAX {
            return wrong(format!("templates use one another more than {USES_MAX} levels deep"));
        }
        self.uses += 1;
        let outer = std::mem::replace(&mut self.variables, vec![(String::new(), dot.clone())]);
        self.all(nodes, &dot)?;
        self.variables = outer;
        self.uses -= 1;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or(Value::Nil);
        if let Some(name) = pipeline.sets.first() {
            let known = self.variables.iter_mut().rev().find(|(known, _)| known == name);
            match known.filter(|_| pipeline.is_assignment) {
                Some((_, known)) => *known = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn command(&mut self, command: &[Operand], last: Option<Value>, dot: &Value) -> Result<Value, TemplateError> {
        self.step()?;
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nil) };
        let Base::Function(name) = &first.base else { return self.operand(first, dot) };
        // These stop at the first argument that decides.
        if let "and" | "or" = name.as_str() {
            return self.decided(name == "and", rest, last, dot);
        }
        let mut args = rest.iter().map(|operand| self.operand(operand, dot)).collect::<Result<Vec<_>, _>>()?;
        args.extend(last);
        fields(functions::call(name, &args, self.facts)?, &first.fields)
    }

    fn decided(&mut self, is_and: bool, rest: &[Operand], last: Option<Value>, dot: &Value) -> Result<Value, TemplateError> {
        let mut value = Value::Nil;
        for operand in rest {
            value = self.operand(operand, dot)?;
            if value.is_true() != is_and {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Nil => Value::Nil,
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map_or(Value::Nil, |(_, value)| value.clone())
            }
            Base::Function(name) => functions::call(name, &[], self.facts)?,
            Base::Text(text) => Value::text(text.as_str()),
            Base::Int(value) => Value::Int(*value),
            Base::Float(value) => Value::Float(*value),
            Base::Bool(value) => Value::Bool(*value),
            Base::Group(pipeline) => self.pipeline(pipeline, dot)?,
        };
        fields(value, &operand.fields)
    }
}

fn fields(value: Value, names: &[String]) -> Result<Value, TemplateError> {
    names.iter().try_fold(value, |value, name| value.field(name))
}
