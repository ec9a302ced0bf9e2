//! The rules of `-c`: requests of different kinds, told apart by patterns.

use super::counts::Counts;
use super::events::Names;
use super::format::Fields;
use regex_automata::{Anchored, Input, MatchKind, meta, util::syntax};

/// A kind of requests.
#[derive(Debug)]
pub struct Rule {
    /// What it is called.
    pub id: String,
    pattern: Pattern,
    /// What was counted of it.
    pub counts: Counts,
}

/// A POSIX extended pattern: of all matches at the leftmost place, the longest one counts.
#[derive(Debug)]
struct Pattern {
    first: meta::Regex,
    longest: meta::Regex,
}

impl Pattern {
    fn new(text: &str) -> Result<Pattern, Box<meta::BuildError>> {
        // Octets, not characters; `.` takes everything.
        let syntax = syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true);
        let build = |kind| {
            let config = meta::Config::new().match_kind(kind).utf8_empty(false);
            meta::Builder::new().configure(config).syntax(syntax).build(text).map_err(Box::new)
        };
        Ok(Pattern { first: build(MatchKind::LeftmostFirst)?, longest: build(MatchKind::All)? })
    }

    /// Returns how long the match is.
    fn length(&self, text: &[u8]) -> Option<usize> {
        let first = self.first.find(text)?;
        let here = Input::new(text).span(first.start()..text.len()).anchored(Anchored::Yes);
        Some(self.longest.find(here).map_or(first.len(), |longest| longest.len()))
    }
}

/// Reads a file of rules, `<id>:<pattern>` in each line; `remark` is told of lines that are none.
pub fn read(text: &str, names: &Names, remark: &mut dyn FnMut(&str)) -> Result<Vec<Rule>, String> {
    let mut rules = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        let Some((id, pattern)) = line.split_once(':') else {
            if !line.starts_with('#') {
                remark(&format!("no rule, for want of a colon: '{line}'"));
            }
            continue;
        };
        let compiled = Pattern::new(pattern);
        let pattern = compiled.map_err(|_| format!("failed to compile pattern {pattern}"))?;
        rules.push(Rule { id: id.to_owned(), pattern, counts: Counts::new(names.clone()) });
    }
    Ok(rules)
}

/// Counts a line for the rule that matches most of `subject`, the first of several.
pub fn count(rules: &mut [Rule], subject: &[u8], fields: &Fields) {
    let mut best: Option<(usize, &mut Rule)> = None;
    for rule in rules {
        let Some(length) = rule.pattern.length(subject) else { continue };
        if best.as_ref().is_none_or(|(longest, _)| length > *longest) {
            best = Some((length, rule));
        }
    }
    if let Some((_, rule)) = best {
        rule.counts.count(fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qslog::format::Format;

    fn counted(text: &str, subjects: &[&str]) -> Vec<(String, u64)> {
        let mut rules = read(text, &Names::default(), &mut |_| ()).unwrap_or_default();
        let format = Format::new("C", true);
        for subject in subjects {
            count(&mut rules, subject.as_bytes(), &format.split(subject.as_bytes()));
        }
        rules.iter().map(|rule| (rule.id.clone(), rule.counts.requests)).collect()
    }

    #[track_caller]
    fn assert_counted(text: &str, subjects: &[&str], expected: &[(&str, u64)]) {
        let expected: Vec<_> = expected.iter().map(|(id, n)| ((*id).to_owned(), *n)).collect();
        assert_eq!(counted(text, subjects), expected);
    }

    #[test]
    fn the_longest_match_counts_and_the_first_of_equals() {
        let text = "a:^/a\nb:^/a\nc:^/(a|ab)\nd:^/ab$\n\n# words\ne:q$\nf:^/q|^/qq|x\n";
        let expected = [("a", 1), ("b", 0), ("c", 1), ("d", 0), ("e", 0), ("f", 2)];
        assert_counted(text, &["/a", "/ab", "/qq", "/qq", "z"], &expected);
        assert_counted("c:x*\nd:[Z]", &["/a", "z"], &[("c", 2), ("d", 0)]);
        assert_counted("c:[[:digit:]]{2,}$", &["/a1", "/a12", "/\u{e9}12"], &[("c", 2)]);
    }

    #[test]
    fn lines_that_are_no_rule_are_told() {
        let mut told = Vec::new();
        let rules =
            read("# x\nbad\na:b\n", &Names::default(), &mut |words| told.push(words.to_owned()));
        assert_eq!(rules.map(|rules| rules.len()), Ok(1));
        assert_eq!(told, ["no rule, for want of a colon: 'bad'"]);
        let broken = read("a:(((", &Names::default(), &mut |_| ());
        assert_eq!(broken.map(|_| ()), Err("failed to compile pattern (((".to_owned()));
    }
}
