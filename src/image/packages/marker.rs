//! Environment markers of PEP 508: `python_version < "3.11" and …`.

/// Variables that pip knows when it installs. `extra` is none of them: it has
/// a meaning only inside a package.
const VARIABLES: [&str; 11] = [
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
];

/// Their names of before PEP 508, which pip still takes, and what they are now.
const OLD_VARIABLES: [(&str, &str); 6] = [
    ("os.name", "os_name"),
    ("platform.machine", "platform_machine"),
    ("platform.python_implementation", "platform_python_implementation"),
    ("platform.version", "platform_version"),
    ("python_implementation", "platform_python_implementation"),
    ("sys.platform", "sys_platform"),
];

/// Longer ones before those they begin with.
const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// What a quoted value may hold besides letters, digits and the other quote.
const VALUE_CHARS: &str = " ().{}-_*#:;,/?[]!~@$%^&=+|<>";

/// Checks a marker and brings it into its normal form.
///
/// # Errors
/// Says what was expected and what stands there.
pub(super) fn parse_marker(text: &str) -> Result<String, String> {
    let mut scanner = Scanner { rest: text };
    let marker = scanner.either()?;
    scanner.skip_blanks();
    if scanner.rest.is_empty() {
        return Ok(marker);
    }
    Err(scanner.expected("`and`, `or` or the end"))
}

/// Recursive descent; a text of bounded length bounds the depth.
struct Scanner<'a> {
    rest: &'a str,
}

impl Scanner<'_> {
    fn either(&mut self) -> Result<String, String> {
        self.chain("or", Self::both)
    }

    fn both(&mut self) -> Result<String, String> {
        self.chain("and", Self::comparison)
    }

    fn chain(&mut self, word: &str, part: fn(&mut Self) -> Result<String, String>) -> Result<String, String> {
        let mut text = part(self)?;
        while self.take_word(word) {
            text = format!("{text} {word} {}", part(self)?);
        }
        Ok(text)
    }

    fn comparison(&mut self) -> Result<String, String> {
        if self.take("(") {
            let inner = self.either()?;
            return if self.take(")") { Ok(format!("({inner})")) } else { Err(self.expected("`)`")) };
        }
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        if left.starts_with(['"', '\'']) && right.starts_with(['"', '\'']) {
            return Err(format!("{left} and {right} are both fixed; one side of a marker is a variable"));
        }
        Ok(format!("{left} {operator} {right}"))
    }

    fn operator(&mut self) -> Result<&'static str, String> {
        if let Some(operator) = OPERATORS.into_iter().find(|operator| self.take(operator)) {
            return Ok(operator);
        }
        if self.take_word("in") {
            return Ok("in");
        }
        if self.take_word("not") && self.take_word("in") {
            return Ok("not in");
        }
        Err(self.expected("a comparison such as `<` or `==`"))
    }

    fn operand(&mut self) -> Result<String, String> {
        for quote in ['"', '\''] {
            if self.take(quote.encode_utf8(&mut [0; 4])) {
                return self.value(quote);
            }
        }
        let variables = VARIABLES.into_iter().map(|name| (name, name)).chain(OLD_VARIABLES);
        let variable = variables.into_iter().find(|(written, _)| self.take_word(written));
        variable
            .map(|(_, name)| name.to_owned())
            .ok_or_else(|| self.expected("a variable such as `python_version`"))
    }

    fn value(&mut self, quote: char) -> Result<String, String> {
        let Some((value, rest)) = self.rest.split_once(quote) else {
            return Err(format!("a value lacks its closing {quote}"));
        };
        let other = if quote == '"' { '\'' } else { '"' };
        let allowed = |c: char| c.is_ascii_alphanumeric() || VALUE_CHARS.contains(c) || c == other;
        if let Some(bad) = value.chars().find(|&c| !allowed(c)) {
            return Err(format!("{bad:?} cannot be in a value of a marker"));
        }
        self.rest = rest;
        let quote = if value.contains('"') { '\'' } else { '"' };
        Ok(format!("{quote}{value}{quote}"))
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes a word that does not go on.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let rest = self.rest.strip_prefix(word);
        let rest =
            rest.filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.'));
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn expected(&self, what: &str) -> String {
        match self.rest.split([' ', '\t']).next() {
            Some(word) if !word.is_empty() => format!("the marker has {word:?} where {what} belongs"),
            _ => format!("the marker ends where {what} belongs"),
        }
    }
}
