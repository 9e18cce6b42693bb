//! What the stand-in does with the owner's files: it looks a question up in them and quotes what fits best, and it has a
//! table drawn. Rows of the table in `errands`.

use super::{
    cues,
    errands::{Done, Told, failure, quoted, request},
};
use serde_json::{Value, json};

/// The longest question and the longest quotation, in characters.
const MOST_CHARS: usize = 400;
/// What stands between the headings that lead to a passage.
const TRAIL: &str = " › ";
/// A longer line is no heading.
const TITLE_WORDS: usize = 8;
/// What asks for a drawing.
const DRAW: [&str; 9] = [
    "plot",
    "chart",
    "graph",
    "diagram",
    "draw",
    "visualise",
    "visualize",
    "zeichne",
    "diagramm",
];
/// What asks for the files where none was sent along.
const LOOK: [&str; 16] = [
    "in my files",
    "in my file",
    "in my documents",
    "in my document",
    "in the files",
    "in the file",
    "in the document",
    "in the pdf",
    "in my notes file",
    "what does the document say",
    "what does the file say",
    "what does my document say",
    "search my files",
    "look through my files",
    "in meinen dateien",
    "in der datei",
];
/// Draws every column of numbers of the first table in the folder; says what stands in it where nothing can be drawn.
const DRAWING: &str = "import csv, glob

name = sorted(glob.glob('*.csv') + glob.glob('*.tsv') + glob.glob('*.txt'))[0]
with open(name, newline='', encoding='utf-8-sig') as file:
    sample = file.read(4096)
    file.seek(0)
    try:
        dialect = csv.Sniffer().sniff(sample)
    except csv.Error:
        dialect = csv.excel
    rows = [row for row in csv.reader(file, dialect) if row]

head, body = rows[0], rows[1:]

def numbers(column):
    try:
        return [float(row[column]) for row in body]
    except (ValueError, IndexError):
        return None

columns = {head[n]: numbers(n) for n in range(len(head))}
drawn = {title: values for title, values in columns.items() if values}
labels = [row[0] for row in body]
print(f'{name}: {len(body)} rows, columns: {\", \".join(head)}')
for title, values in drawn.items():
    print(f'{title}: from {min(values):g} to {max(values):g}')
try:
    import matplotlib.pyplot as plt
except ImportError:
    print('There is no matplotlib here to draw with.')
else:
    for title, values in drawn.items():
        if title != head[0]:
            plt.plot(labels if columns[head[0]] is None else columns[head[0]], values, marker='o', label=title)
    plt.xlabel(head[0])
    plt.title(name)
    if len(drawn) > 0:
        plt.legend()
    plt.xticks(rotation=30, ha='right')
    plt.tight_layout()
";

/// A file that was sent along, as the prompt notes it: `[file ID: NAME, TYPE, SIZE bytes]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent<'a> {
    id: &'a str,
    name: &'a str,
}

fn sent(words: &str) -> Vec<Sent<'_>> {
    let notes = words.split("[file ").skip(1);
    notes
        .filter_map(|note| {
            let (id, rest) = note.split_once(": ")?;
            let (inside, _) = rest.split_once(']')?;
            // The name may hold commas; type and size stand last.
            let name = inside.rsplitn(3, ", ").last()?;
            (id.len() == 36).then_some(Sent { id, name })
        })
        .collect()
}

/// The owner's own words, without what was sent along.
pub(crate) fn spoken(words: &str) -> &str {
    words.split("\n\n[file ").next().unwrap_or_default().trim()
}

/// The whole message, where it asks to have a table drawn that came with it.
pub(super) fn to_draw(words: &str) -> Option<String> {
    let plain = request(spoken(words));
    let asked = plain.split_whitespace().any(|word| DRAW.contains(&word));
    (asked && sent(words).iter().any(is_table)).then(|| words.to_owned())
}

fn is_table(sent: &Sent<'_>) -> bool {
    let name = sent.name.to_ascii_lowercase();
    [".csv", ".tsv", ".txt"].iter().any(|ending| name.ends_with(ending))
}

pub(super) fn draw(words: &str, _: &[Done<'_>]) -> Vec<Value> {
    let table = sent(words).into_iter().find(is_table);
    table
        .map(|table| json!({ "code": DRAWING, "files": [table.id] }))
        .into_iter()
        .collect()
}

pub(super) fn tell_drawn(_: &str, done: &[Done<'_>]) -> Told {
    let output = done
        .iter()
        .find(|done| done.tool == "code_interpreter")
        .map(|done| done.output);
    let words = match output.map(|output| (output, failure(output))) {
        Some((_, Some(why))) => format!("I couldn't draw it, and I won't pretend:\n\n{}", quoted(why)),
        Some((output, None)) if output.contains("figure-1.png") => {
            "Here it is, drawn from your table. The code stands beside it; tell me what to change.".to_owned()
        }
        Some((_, None)) => "I ran over your table, but no picture came of it; its output says why.".to_owned(),
        None => "There is nothing here to draw with.".to_owned(),
    };
    Told {
        words: Some(words),
        memories: None,
    }
}

/// The whole message, where it asks something of files: those that came with it, or the owner's at large.
pub(super) fn to_look_up(words: &str) -> Option<String> {
    let plain = cues::normalise(spoken(words));
    let asked = LOOK.iter().any(|cue| plain.contains(cue)) || (!sent(words).is_empty() && words.contains('?'));
    asked.then(|| words.to_owned())
}

pub(super) fn look_up(words: &str, _: &[Done<'_>]) -> Vec<Value> {
    let ids: Vec<&str> = sent(words).iter().map(|sent| sent.id).collect();
    let query = super::clip(spoken(words), MOST_CHARS);
    vec![json!({ "query": query, "others": null, "file_ids": (!ids.is_empty()).then_some(ids), "count": null })]
}

/// The place that fits best: where it stands, and what it says.
fn best(output: &str) -> Option<(&str, String)> {
    let (_, rest) = output.split_once("\n\n[1] ")?;
    let passage = rest.split("\n\n[2] ").next().unwrap_or(rest);
    let (place, text) = passage.split_once('\n')?;
    // The first line names the file once more.
    let text = text
        .strip_prefix('(')
        .and_then(|text| text.split_once(")\n"))
        .map_or(text, |(_, text)| text);
    Some((place, super::clip(below_headings(text), MOST_CHARS)))
}

/// A passage without the headings it begins with: the trail that leads to it, and the last of the trail once more.
fn below_headings(text: &str) -> &str {
    let mut rest = text.trim_start();
    while let Some((line, below)) = rest.split_once('\n') {
        let trail = line.contains(TRAIL);
        // A line of a few words and no mark is no sentence, unless the next one goes on with it.
        let short = line.split_whitespace().count() <= TITLE_WORDS;
        let plain = line.chars().all(|c| c.is_alphabetic() || " -'’".contains(c));
        let title = short && plain && !below.trim_start().starts_with(char::is_lowercase);
        if below.trim().is_empty() || !(trail || title) {
            break;
        }
        rest = below.trim_start();
    }
    rest
}

pub(super) fn tell_looked_up(_: &str, done: &[Done<'_>]) -> Told {
    let output = done
        .iter()
        .find(|done| done.tool == "file_search")
        .map(|done| done.output);
    let words = match output.map(|output| (failure(output), best(output))) {
        Some((Some(why), _)) => format!("I couldn't look into your files:\n\n{}", quoted(why)),
        Some((None, Some((place, text)))) => format!("I looked. In {place} it says: “{text}” [1]"),
        Some((None, None)) | None => "I looked through your files, and nothing in them fits.".to_owned(),
    };
    Told {
        words: Some(words),
        memories: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0199f3a0-0000-7000-8000-000000000001";

    fn with_file(words: &str, name: &str) -> String {
        format!("{words}\n\n[file {ID}: {name}, text/csv, 120 bytes]")
    }

    #[test]
    fn a_table_is_drawn() {
        let words = with_file("Please plot this.", "sales, 2026.csv");
        let subject = to_draw(&words).unwrap();
        assert_eq!(draw(&subject, &[])[0]["files"], json!([ID]));
        assert_eq!(to_draw(&with_file("Plot this.", "book.pdf")), None);
        assert_eq!(to_draw("Plot this."), None);
        assert_eq!(sent(&words)[0].name, "sales, 2026.csv");
    }

    #[test]
    fn a_question_about_files_is_looked_up() {
        let words = with_file("How long is the warranty?", "manual.pdf");
        let calls = look_up(&to_look_up(&words).unwrap(), &[]);
        assert_eq!(calls[0]["query"], "How long is the warranty?");
        assert_eq!(calls[0]["file_ids"], json!([ID]));
        let calls = look_up(&to_look_up("What stands in my files about rent?").unwrap(), &[]);
        assert_eq!(calls[0]["file_ids"], Value::Null);
        assert_eq!(to_look_up("How long is the river?"), None);
    }

    #[test]
    fn what_fits_best_is_quoted() {
        let output = format!(
            "2 places fit, best first.\n\nSources:\n\n[1] manual.pdf (page 7)\n(file {ID})\nWarranty\nTwo  years.\n\n[2] x\n(file {ID})\ny"
        );
        let done = [Done {
            tool: "file_search",
            output: &output,
        }];
        let told = tell_looked_up("", &done).words.unwrap();
        assert_eq!(told, "I looked. In manual.pdf (page 7) it says: “Two years.” [1]");
        for (text, quoted) in [
            (
                "fonts-conf › Environment variables\nEnvironment variables\n\nFONTCONFIG_FILE is used.",
                "FONTCONFIG_FILE is used.",
            ),
            ("A › B\nRain.\nOr snow.", "Rain.\nOr snow."),
            ("Bin day: Tuesday\nRent: 700", "Bin day: Tuesday\nRent: 700"),
            ("name,city\nAnna,Graz", "name,city\nAnna,Graz"),
            (
                "The pump is guaranteed for\ntwo years.",
                "The pump is guaranteed for\ntwo years.",
            ),
            ("A › B", "A › B"),
        ] {
            assert_eq!(below_headings(text), quoted, "{text}");
        }
        let nothing = [Done {
            tool: "file_search",
            output: "nothing in the files fits",
        }];
        assert!(tell_looked_up("", &nothing).words.unwrap().contains("nothing"));
    }
}
