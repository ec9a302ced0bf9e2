//! What the rules that set variables do: `[!]<variable>[=<value>]`.

use crate::context::RequestView;
use crate::lasting;
use crate::matching::pattern::Pattern;
use crate::matching::template::Template;
use crate::values::Problem;
use core::ffi::CStr;

/// A variable is set, or removed.
#[derive(Clone, Debug)]
pub struct Assignment {
    variable: &'static CStr,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Remove,
    Set(&'static CStr),
    Fill(Template),
}

/// What a value may name besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Nothing.
    Nothing,
    /// The groups of a match: `$0` to `$9`.
    Groups,
    /// The groups, and other variables: `${OTHER}`.
    GroupsAndVariables,
}

/// What an assignment does in one case. It borrows nothing of the request, which it changes.
#[derive(Debug)]
pub enum Ready {
    /// The variable is removed.
    Remove(&'static CStr),
    /// It gets a value of the configuration.
    Lasting(&'static CStr, &'static CStr),
    /// It gets a value that was put together.
    Made(&'static CStr, Vec<u8>),
}

impl Ready {
    /// Does it.
    pub fn apply(&self, request: &mut dyn RequestView) {
        match self {
            Ready::Remove(name) => request.remove_variable(name),
            Ready::Lasting(name, value) => request.set_lasting(name, value),
            Ready::Made(name, value) => request.set_variable(name, value),
        }
    }
}

impl Assignment {
    /// Reads an assignment; `default` is the value where none is written.
    pub fn parse(word: &str, default: &str, names: Names) -> Result<Assignment, Problem> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, value),
            None => (word, default),
        };
        let problem =
            || Problem::word(word, "<variable>=<value>, <variable>, or !<variable> to remove it");
        if let Some(name) = name.strip_prefix('!') {
            let variable = lasting::variable(name).map_err(|_| problem())?;
            return Ok(Assignment { variable, what: What::Remove });
        }
        let variable = lasting::variable(name).map_err(|_| problem())?;
        let template = match names {
            Names::Nothing => Template::literal(value),
            Names::Groups => Template::parse(value),
            Names::GroupsAndVariables => Template::parse_with_variables(value)?,
        };
        let what = match template.plain() {
            // It came from a configuration file, which has no NUL.
            Some(plain) => What::Set(lasting::text(&String::from_utf8_lossy(plain))?),
            None => What::Fill(template),
        };
        Ok(Assignment { variable, what })
    }

    /// An assignment of a value that never changes.
    pub fn plain(variable: &str, value: &str) -> Result<Assignment, Problem> {
        Ok(Assignment {
            variable: lasting::variable(variable)?,
            what: What::Set(lasting::text(value)?),
        })
    }

    /// Returns the variable.
    pub fn variable(&self) -> &'static CStr {
        self.variable
    }

    /// Returns what it does without a match to take groups from.
    pub fn ready(&self) -> Ready {
        match &self.what {
            What::Remove => Ready::Remove(self.variable),
            What::Set(value) => Ready::Lasting(self.variable, value),
            What::Fill(_) => Ready::Lasting(self.variable, c""),
        }
    }

    /// Returns what it does when a pattern has matched a subject.
    pub fn ready_for(
        &self,
        pattern: &Pattern,
        subject: &[u8],
        request: &dyn RequestView,
    ) -> Option<Ready> {
        let What::Fill(template) = &self.what else { return Some(self.ready()) };
        let groups = pattern.groups(subject)?;
        // The value is put together of what the client sent: it has to be somewhere.
        let value = template.fill_with(&groups, &|name| request.variable(name)).into_owned();
        Some(Ready::Made(self.variable, value))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::matching::pattern::Options;
    use crate::testing::View;

    fn result(word: &str, names: Names) -> Option<String> {
        let assignment = Assignment::parse(word, "d", names).expect(word);
        let mut view = View::with("A", "old").and("OTHER", "other");
        let pattern = Pattern::new("(x)(y)?", Options::default()).expect("pattern");
        assignment.ready_for(&pattern, b"-x-", &view).expect("a match").apply(&mut view);
        view.text("A").map(str::to_owned)
    }

    #[test]
    fn a_variable_is_set_or_removed() {
        for (word, names, value) in [
            ("A", Names::Groups, Some("d")),
            ("A=", Names::Groups, Some("")),
            ("A=1=2", Names::Groups, Some("1=2")),
            ("!A", Names::Groups, None),
            ("!A=1", Names::Groups, None),
            ("A=$1-$2", Names::Groups, Some("x-")),
            ("A=$1", Names::Nothing, Some("$1")),
            ("A=${OTHER}$1", Names::Groups, Some("${OTHER}x")),
            ("A=${OTHER}$1", Names::GroupsAndVariables, Some("otherx")),
            ("A=<${NONE}>", Names::GroupsAndVariables, Some("<>")),
        ] {
            assert_eq!(result(word, names).as_deref(), value, "{word}");
        }
        for word in ["", "!", "=1", "!=1", "!!A"] {
            assert!(Assignment::parse(word, "", Names::Groups).is_err(), "{word:?}");
        }
    }
}
