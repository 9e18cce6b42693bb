#!/usr/bin/env python3
"""The texts that distil.py learns from: corpus.py ROOT OUT.json

ROOT holds two unpacked Debian packages, wordnet-base and python3.11-doc (dpkg -x PACKAGE.deb ROOT).  A third of the
lines come from the templates in lines.txt, filled from its lists and from WordNet's words: everyday statements and
questions of a companion chat.  Nothing that is measured with goes in.
"""
import glob
import html
import json
import os
import random
import re
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import minilm

STATEMENTS, QUESTIONS, DOC_LINES, RARE_GLOSSES = 70000, 22000, 8000, 20000
# WordNet's lexicographer files, in the order of their numbers.
FILES = """adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition
noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person
noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state
noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition verb.consumption
verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession verb.social verb.stative
verb.weather adj.ppl""".split()
# Slots of the templates that WordNet fills.
SLOTS = {
    "food": "noun.food", "animal": "noun.animal", "thing": "noun.artifact", "act": "noun.act", "event": "noun.event",
    "emo": "noun.feeling", "body": "noun.body", "plant": "noun.plant", "person": "noun.person",
    "comm": "noun.communication", "cog": "noun.cognition", "state": "noun.state", "attr": "noun.attribute",
    "poss": "noun.possession", "group": "noun.group", "loc": "noun.location", "obj": "noun.object",
    "subst": "noun.substance", "adj": "adj.all", "time": "noun.time",
}


def clean(text):
    return re.sub(r"\s+", " ", text).strip()


def sentences(paragraph):
    parts = re.split(r"(?<=[.!?])[\"')]*\s+", clean(paragraph))
    return [s for s in parts if 3 <= len(s.split()) <= 45]


def unique(items):
    return list(dict.fromkeys(items))


def wordnet(root, vocabulary):
    """Glosses as (text, lemmas, definition), usage examples, and the known words of each lexicographer file."""
    glosses, examples, words = [], [], {}
    for part in ("noun", "verb", "adj", "adv"):
        with open(f"{root}/usr/share/wordnet/data.{part}", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("  "):
                    continue
                head, _, gloss = line.partition(" | ")
                fields = head.split()
                count = int(fields[3], 16)
                lemmas = [re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
                definition = re.split(r';\s*"', gloss.strip())[0]
                definition = clean(definition.strip("; ").replace('"', ""))
                glosses.append((", ".join(lemmas[:3]) + ": " + definition, lemmas, definition))
                examples += [clean(e) for e in re.findall(r'"([^"]+)"', gloss) if len(e.split()) >= 3]
                known = {w for w in lemmas if w.lower() in vocabulary and len(w) > 2}
                words.setdefault(FILES[int(fields[1])], set()).update(known)
    return glosses, unique(examples), {name: sorted(found) for name, found in words.items()}


def python_docs(root):
    found = []
    for path in sorted(glob.glob(f"{root}/usr/share/doc/python3.11/html/**/*.html", recursive=True)):
        with open(path, encoding="utf-8", errors="replace") as page:
            for paragraph in re.findall(r"<p>(.*?)</p>", page.read(), flags=re.S):
                found += sentences(html.unescape(re.sub(r"<[^>]+>", "", paragraph)))
    found = unique(found)
    random.shuffle(found)
    return found[:DOC_LINES]


def sections(path):
    found, name = {}, None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if re.fullmatch(r"\[\w+\]", line):
                name = line[1:-1]
                found[name] = []
            elif line and name:
                found[name].append(line)
    return found


def everyday(words):
    """Statements and questions in a companion's register."""
    lines = sections(os.path.join(HERE, "lines.txt"))
    verbs = [name for name in words if name.startswith("verb.")]

    def pick(slot):
        if slot in lines:
            return random.choice(lines[slot])
        return random.choice(words[random.choice(verbs) if slot == "verb" else SLOTS[slot]])

    def fill(template):
        return re.sub(r"\{(\w+)\}", lambda slot: pick(slot.group(1)), template)

    said = [fill(random.choice(lines["statement"])) for _ in range(STATEMENTS)]
    asked = [fill(random.choice(lines["question"])) for _ in range(QUESTIONS)]
    return unique(said + asked)


def main():
    random.seed(7)
    root, out = sys.argv[1:3]
    with open(os.path.join(minilm.model_dir(), "vocab.txt"), encoding="utf-8") as lines:
        vocabulary = {line.rstrip("\n") for line in lines}
    glosses, examples, words = wordnet(root, vocabulary)
    common = [g for g in glosses if any(w.lower() in vocabulary for w in g[1])]
    texts = [text for text, _, _ in common]
    texts += [definition for _, _, definition in common if len(definition.split()) >= 3]
    texts += examples + python_docs(root) + everyday(words)
    # Shuffled, so that any beginning of the file is a fair mix; glosses of rare words come last.
    random.shuffle(texts)
    taken = set(texts)
    rare = [text for text, _, _ in glosses if text not in taken]
    random.shuffle(rare)
    texts = unique(texts) + rare[:RARE_GLOSSES]
    with open(out, "w", encoding="utf-8") as file:
        json.dump(texts, file)
    print(len(texts), "texts")


if __name__ == "__main__":
    main()
