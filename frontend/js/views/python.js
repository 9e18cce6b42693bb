// Python in colours: the code she ran stands on a card as she wrote it, and the server colours only what
// stands in a reply. Uses the classes of the server's highlighter.

const KEYWORDS = 'and|as|assert|async|await|break|case|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield';
const TOKEN = new RegExp([
  '(?<comment>#[^\\n]*)',
  '(?<string>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$)|\'\'\'[^]*?(?:\'\'\'|$)|"(?:\\\\.|[^"\\\\\\n])*"?|\'(?:\\\\.|[^\'\\\\\\n])*\'?))',
  '(?<number>\\b(?:0[xX][\\da-fA-F_]+|0[bB][01_]+|\\d[\\d_]*\\.?[\\d_]*(?:[eE][+-]?\\d+)?j?)\\b)',
  `(?<keyword>\\b(?:${KEYWORDS})\\b)`,
  '(?<language>\\b(?:True|False|None|self)\\b)',
  '(?<call>\\b[A-Za-z_]\\w*(?=\\s*\\())',
  '(?<word>[A-Za-z_]\\w*)',
].join('|'), 'g');

const CLASSES = { comment: 'hl-comment', string: 'hl-string', number: 'hl-constant', keyword: 'hl-keyword', language: 'hl-variable hl-language', call: 'hl-variable hl-function' };

export function pythonNodes(code) {
  const nodes = [];
  let from = 0;
  for (const match of code.matchAll(TOKEN)) {
    const kind = Object.keys(CLASSES).find((name) => match.groups[name] !== undefined);
    if (!kind) continue;
    const span = document.createElement('span');
    span.className = CLASSES[kind];
    span.textContent = match[0];
    nodes.push(code.slice(from, match.index), span);
    from = match.index + match[0].length;
  }
  nodes.push(code.slice(from));
  return nodes;
}
