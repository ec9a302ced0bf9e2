//! `QS_SetEnvIf`

use crate::assignment::{Assignment, Names};
use crate::context::{Exchange, RequestView};
use crate::directive::Arguments;
use crate::lasting;
use crate::matching::budget;
use crate::matching::pattern::{Matched, Options, Pattern};
use crate::values::Problem;
use core::ffi::CStr;

#[derive(Debug)]
pub(super) struct Condition {
    when: When,
    assignment: Assignment,
}

#[derive(Debug)]
enum When {
    Both([Is; 2]),
    Matches(&'static CStr, Pattern),
}

/// A variable is set, or is not.
#[derive(Debug)]
struct Is {
    variable: &'static CStr,
    set: bool,
}

impl Is {
    fn read(word: &str) -> Result<Is, Problem> {
        let (name, set) = word.strip_prefix('!').map_or((word, true), |name| (name, false));
        let variable = lasting::variable(name)
            .map_err(|_| Problem::word(word, "a variable's name, or !<variable>"))?;
        Ok(Is { variable, set })
    }

    fn holds(&self, request: &dyn RequestView) -> bool {
        request.variable(self.variable).is_some() == self.set
    }
}

impl Condition {
    pub(super) fn read(arguments: &Arguments<'_>) -> Result<Condition, Problem> {
        let is_whole = |variable: &str| variable.starts_with('!') || variable.contains('=');
        if let [_, .., variable] = *arguments.words
            && arguments.words.len() <= 3
            && !is_whole(variable)
        {
            return Err(Problem::text("new variable must have the format <name>=<value>"));
        }
        match *arguments.words {
            [first, second, variable] => Ok(Condition {
                when: When::Both([Is::read(first)?, Is::read(second)?]),
                assignment: Assignment::parse(variable, "", Names::Nothing)?,
            }),
            [first, variable] => {
                let Some((name, pattern)) = first.split_once('=') else {
                    return Err(Problem::text("missing pattern for variable1"));
                };
                let name = lasting::variable(name).map_err(|_| {
                    Problem::word(first, "<variable>=<pattern>; a '!' has no meaning before it")
                })?;
                Ok(Condition {
                    when: When::Matches(name, Pattern::new(pattern, Options::default())?),
                    assignment: Assignment::parse(variable, "", Names::Groups)?,
                })
            }
            _ => Err(Problem::text("takes two or three arguments")),
        }
    }

    pub(super) fn apply(&self, exchange: &mut Exchange<'_>) {
        let request = &*exchange.request;
        let ready = match &self.when {
            When::Both([first, second]) => {
                if !first.holds(request) || !second.holds(request) {
                    return;
                }
                Some(self.assignment.ready())
            }
            When::Matches(name, pattern) => {
                let Some(value) = request.variable(name) else { return };
                match pattern.is_match(value) {
                    Matched::No => return,
                    Matched::Yes => self.assignment.ready_for(pattern, value, request),
                    Matched::OverBudget => {
                        return budget::tell("QS_SetEnvIf", pattern, None, false, exchange);
                    }
                }
            }
        };
        if let Some(ready) = ready {
            ready.apply(exchange.request);
        }
    }
}
