//! What a refusal's words say: which parameter they name, whether the parameter or its value is refused, whether it is
//! about the form of the reply. Guessing at words stays in this one place; what follows is decided in `dialect`.

/// A refused request, as far as it says why.
pub(crate) struct Refusal<'a> {
    pub status: u16,
    code: &'a str,
    param: &'a str,
    pub message: &'a str,
    pub lower: String,
}

impl<'a> Refusal<'a> {
    /// Its parts; what is missing says nothing.
    pub fn new(status: u16, code: Option<&'a str>, param: Option<&'a str>, message: &'a str) -> Self {
        let lower = message.to_lowercase();
        Self {
            status,
            code: code.unwrap_or_default(),
            param: param.unwrap_or_default(),
            message,
            lower,
        }
    }

    /// Whether `param` is this parameter or a part of it: `reasoning.effort`, `text.verbosity`, `messages[0].role`.
    pub fn param_is(&self, word: &str) -> bool {
        self.param.split(['.', '[', ']']).any(|part| part == word)
    }

    /// Whether the words name this parameter. A word that is also plain English counts only in quotation marks.
    pub fn message_quotes(&self, word: &str) -> bool {
        if word.contains('_') || matches!(word, "verbosity" | "reasoning" | "thinking") {
            return self.lower.contains(word);
        }
        ['\'', '"', '`']
            .iter()
            .any(|mark| self.message.contains(&format!("{mark}{word}{mark}")))
    }

    pub fn speaks_of_format_param(&self) -> bool {
        [
            "response_format",
            "format",
            "tools",
            "tool_choice",
            "functions",
            "function_call",
        ]
        .iter()
        .any(|word| self.param_is(word))
    }

    /// Whether the words speak of schemas, tools or functions, or of plain lack of support.
    pub fn speaks_of_format(&self) -> bool {
        const WORDS: &[&str] = &[
            "response_format",
            "json_schema",
            "json schema",
            "text.format",
            "structured",
            "grammar",
            "tool",
            "function",
            "unsupported",
            "not supported",
            "not support",
            "not implemented",
            "unimplemented",
        ];
        self.status == 501 || WORDS.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it names this parameter, in whichever field.
    pub fn names(&self, word: &str) -> bool {
        self.param_is(word) || self.message_quotes(word)
    }

    /// The place among the tools that it names: `tools[3].type`.
    pub fn tool_place(&self) -> Option<usize> {
        let after = |text: &str| {
            let (_, rest) = text.split_once("tools[")?;
            rest.split_once(']')?.0.parse().ok()
        };
        after(self.param).or_else(|| after(&self.lower))
    }

    /// The place of the function whose schema, name or description it refuses: `tools[3].function.parameters`.
    pub fn function_place(&self) -> Option<usize> {
        let (_, part) = self.param.split_once("].")?;
        let own = ["parameters", "name", "description"];
        let named = part.split(['.', '[']).any(|word| own.contains(&word));
        self.tool_place().filter(|_| named)
    }

    /// Whether the message has this name in quotation marks, before it begins to list what is taken instead.
    pub fn quotes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        ['\'', '"', '`']
            .iter()
            .any(|mark| self.head().contains(&format!("{mark}{name}{mark}")))
    }

    /// Whether its words name this before they begin to list what is taken instead.
    pub fn head_names(&self, word: &str) -> bool {
        self.head().contains(word)
    }

    fn head(&self) -> &str {
        const LISTS: &[&str] = &["supported value", "expected one of", "must be one of", "input tag"];
        let end = LISTS.iter().filter_map(|list| self.lower.find(list)).min();
        end.and_then(|end| self.lower.get(..end)).unwrap_or(&self.lower)
    }

    /// Whether vector stores are meant.
    pub fn speaks_of_stores(&self) -> bool {
        self.param_is("vector_store_ids") || self.lower.contains("vector store") || self.lower.contains("vector_store")
    }

    /// Whether it is about pictures.
    pub fn speaks_of_pictures(&self) -> bool {
        const WORDS: &[&str] = &["image", "picture", "multimodal", "vision", "mmproj"];
        self.param_is("image_url") || WORDS.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it says that there is no seeing here at all, whichever picture it is.
    pub fn refuses_pictures(&self) -> bool {
        const WORDS: &[&str] = &[
            "support",
            "multimodal",
            "mmproj",
            "unknown variant",
            "content type",
            "content must be",
            "missing data required",
        ];
        const THIS_ONE: &[&str] = &[
            "format",
            "too large",
            "size",
            "corrupt",
            "decode",
            "invalid image",
            "valid image",
        ];
        let says = |words: &[&str]| words.iter().any(|word| self.lower.contains(word));
        says(WORDS) && !says(THIS_ONE)
    }

    /// Whether it is about tools or functions, or something inside them.
    pub fn speaks_of_tools(&self) -> bool {
        ["tools", "tool_choice", "functions", "function_call", "strict"]
            .iter()
            .any(|word| self.param_is(word))
            || ["tool", "function", "strict"]
                .iter()
                .any(|word| self.lower.contains(word))
    }

    /// Whether it says that there is nothing to be done: no tools here.
    pub fn refuses_tools(&self) -> bool {
        const WORDS: &[&str] = &[
            "support tool",
            "support function call",
            "tools are not supported",
            "tools is not supported",
            "'tools' is not supported",
            "tool calling is not supported",
            "tool use is not supported",
            "tools param requires",
        ];
        self.param == "tools" && self.is_unknown() || WORDS.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it is about the choice among tools.
    pub fn speaks_of_choice(&self) -> bool {
        self.param_is("tool_choice") || self.lower.contains("tool_choice") || self.lower.contains("tool choice")
    }

    /// Whether it is about a schema for the answer.
    pub fn speaks_of_schema(&self) -> bool {
        const WORDS: &[&str] = &[
            "response_format",
            "response format",
            "json_schema",
            "json schema",
            "json mode",
            "text.format",
            "structured output",
            "grammar",
        ];
        self.param_is("response_format") || WORDS.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it is about a message without content.
    pub fn speaks_of_content(&self) -> bool {
        let missing = ["null", "none", "required", "missing", "must be a string", "empty"];
        (self.param_is("content") || self.message_quotes("content") || self.lower.contains("content"))
            && missing.iter().any(|word| self.lower.contains(word))
    }

    /// Whether it is about who may speak when.
    pub fn speaks_of_roles(&self) -> bool {
        self.lower.contains("alternate")
            || (self.param_is("role") || self.lower.contains("role")) && self.lower.contains("tool")
            || self.lower.contains("role") && self.lower.contains("function")
    }

    /// Whether the parameter itself is refused, not its value.
    pub fn is_unknown(&self) -> bool {
        matches!(self.code, "unknown_parameter" | "unsupported_parameter")
            || [
                "unknown",
                "unrecognized",
                "unsupported parameter",
                "extra inputs",
                "not permitted",
                "unexpected",
            ]
            .iter()
            .any(|word| self.lower.contains(word))
    }

    /// The value after a refused one on `ladder`; none if the parameter itself is refused or the ladder ends.
    pub fn lower_value(&self, ladder: &[&str], sent: Option<&str>) -> Option<String> {
        if self.is_unknown() {
            return None;
        }
        let value_refused = matches!(self.code, "unsupported_value" | "invalid_value")
            || self.lower.contains("unsupported value")
            || self.lower.contains("invalid value");
        let mut below = ladder.iter().skip_while(|value| Some(**value) != sent).skip(1);
        below.next().filter(|_| value_refused).map(|value| (*value).to_owned())
    }

    /// The first number after some words.
    pub fn number_after(&self, words: &str) -> Option<u32> {
        let (_, rest) = self.lower.split_once(words)?;
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    }
}
