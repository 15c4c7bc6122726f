//! Parameterised statement: SQL with a question mark for each value, and the values as SQL
//! literals.

use marketlake_model::Minute;

use crate::span::Span;

/// SQL and its execution parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<String>,
}

/// The values of a statement, by their names in its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(Vec<(&'static str, Vec<String>)>);

impl Values {
    /// The bounds of a span: its minutes, and the partitions in which they lie.
    pub(crate) fn from_span(span: Span) -> Self {
        Self::default()
            .text("first_day", &span.from.date())
            .text("last_day", &span.to.date())
            .minute("from", span.from)
            .minute("to", span.to)
    }

    /// Both together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.texts(name, [text])
    }

    /// Several, for an `in ($name)`.
    pub(crate) fn texts<'a>(
        mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        self.0.push((name, texts.into_iter().map(quoted).collect()));
        self
    }

    pub(crate) fn number(mut self, name: &'static str, number: impl Into<i64>) -> Self {
        self.0.push((name, vec![number.into().to_string()]));
        self
    }

    fn minute(self, name: &'static str, minute: Minute) -> Self {
        let text = minute.to_string();
        self.text(name, &text.replace('T', " ").replace('Z', ""))
    }
}

/// The lines of a file of SQL that are no comments.
pub(super) fn without_comments(sql: &str) -> impl Iterator<Item = &str> {
    sql.lines().filter(|line| !line.starts_with("--"))
}

impl Statement {
    /// Puts a question mark, or several, for each `$name`.
    ///
    /// # Errors
    /// A name that has no value.
    pub(crate) fn new(sql: &str, values: &Values) -> Result<Self, String> {
        let mut statement = Self {
            sql: String::with_capacity(sql.len()),
            parameters: Vec::new(),
        };
        for line in without_comments(sql) {
            statement.line(line, values)?;
        }
        Ok(statement)
    }

    fn line(&mut self, line: &str, values: &Values) -> Result<(), String> {
        let mut parts = line.split('$');
        self.sql.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let end = part
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let known = values.0.iter().find(|(known, _)| *known == name);
            let (_, given) = known.ok_or_else(|| format!("no value for ${name}"))?;
            let marks = vec!["?"; given.len()];
            self.sql.push_str(&marks.join(", "));
            self.sql.push_str(rest);
            self.parameters.extend(given.iter().cloned());
        }
        self.sql.push('\n');
        Ok(())
    }
}
