// A useful part of LaTeX's formulas as MathML: fractions, powers and indices, roots, Greek, sums and integrals, matrices,
// operators, accents, text. Built of nodes, never of markup. A formula with anything else in it is not converted.

const MATHML = 'http://www.w3.org/1998/Math/MathML';
export const MOST_CHARS = 4_000;
const MOST_DEPTH = 40;

const pairs = (text) => new Map(text.trim().split(/\s+/).map((word) => word.split('=', 2)));
const names = (text) => new Set(text.trim().split(/\s+/));

const LETTERS = pairs(`
  alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ lambda=λ mu=μ nu=ν xi=ξ pi=π varpi=ϖ rho=ρ
  varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ
  Psi=Ψ Omega=Ω infty=∞ partial=∂ nabla=∇ hbar=ℏ ell=ℓ Re=ℜ Im=ℑ aleph=ℵ emptyset=∅ varnothing=∅ degree=° imath=ı jmath=ȷ top=⊤ bot=⊥ angle=∠`);
const SIGNS = pairs(`
  cdot=⋅ times=× pm=± mp=∓ div=÷ le=≤ leq=≤ leqslant=≤ ge=≥ geq=≥ geqslant=≥ ne=≠ neq=≠ approx=≈ equiv=≡ sim=∼ simeq=≃ cong=≅ propto=∝ to=→ gets=← rightarrow=→
  leftarrow=← longrightarrow=⟶ longleftarrow=⟵ Rightarrow=⇒ Leftarrow=⇐ leftrightarrow=↔ Leftrightarrow=⇔ implies=⟹ iff=⟺ mapsto=↦ uparrow=↑ downarrow=↓
  rightharpoonup=⇀ rightleftharpoons=⇌ in=∈ notin=∉ ni=∋ subset=⊂ subseteq=⊆ subsetneq=⊊ supset=⊃ supseteq=⊇ cup=∪ cap=∩ setminus=∖ forall=∀ exists=∃ nexists=∄ neg=¬
  lnot=¬ land=∧ wedge=∧ lor=∨ vee=∨ oplus=⊕ ominus=⊖ otimes=⊗ odot=⊙ circ=∘ bullet=∙ star=⋆ ast=∗ perp=⊥ parallel=∥ mid=∣ nmid=∤ ll=≪ gg=≫ prec=≺ succ=≻ vdash=⊢
  models=⊨ therefore=∴ because=∵ dots=… ldots=… cdots=⋯ vdots=⋮ ddots=⋱ prime=′ colon=: triangle=△ square=□ blacksquare=■ dagger=† lt=< gt=> doteq=≐ coloneqq=≔
  %=% $=$ #=# &=& _=_ asymp=≍ lvert=| rvert=| lVert=‖ rVert=‖ langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ lbrace={ rbrace=} vert=| Vert=‖ |=‖ {={ }=} lbrack=[ rbrack=]`);
const LARGE = pairs('sum=∑ prod=∏ coprod=∐ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigotimes=⨂ bigvee=⋁ bigwedge=⋀');
const INTEGRALS = pairs('int=∫ iint=∬ iiint=∭ oint=∮');
const FUNCTIONS = names('sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth exp log ln lg arg deg dim ker hom');
const LIMITS = names('lim max min sup inf det gcd Pr limsup liminf argmax argmin');
const ACCENTS = pairs('hat=^ widehat=^ bar=¯ overline=‾ vec=→ overrightarrow=→ dot=˙ ddot=¨ tilde=~ widetilde=~ check=ˇ breve=˘ overbrace=⏞ underline=_ underbrace=⏟');
const SPACES = new Map([[',', '.167em'], [':', '.222em'], ['>', '.222em'], [';', '.278em'], ['!', '-.167em'], [' ', '.25em'], ['quad', '1em'], ['qquad', '2em']]);
const IGNORED = names('limits nolimits displaystyle textstyle scriptstyle nonumber notag hline');
const SIZES = /^(?:big|Big|bigg|Bigg)[lrm]?$/;
const ENDS = new Map([['matrix', ['', '']], ['smallmatrix', ['', '']], ['pmatrix', ['(', ')']], ['bmatrix', ['[', ']']], ['Bmatrix', ['{', '}']], ['vmatrix', ['|', '|']], ['Vmatrix', ['‖', '‖']], ['cases', ['{', '']], ['array', ['', '']]]);
const ALIGNED = names('aligned align align* split gathered gather gather* equation equation*');

// Letters of other faces have places of their own in Unicode: where capitals, small letters and digits begin, and those
// that had a place before.
const BOLD = { A: 0x1d400, a: 0x1d41a, 0: 0x1d7ce };
const SCRIPT = { A: 0x1d49c, a: 0x1d4b6, was: pairs('B=ℬ E=ℰ F=ℱ H=ℋ I=ℐ L=ℒ M=ℳ R=ℛ e=ℯ g=ℊ o=ℴ') };
const FACES = new Map([
  ['mathbf', BOLD], ['boldsymbol', BOLD], ['bm', BOLD], ['textbf', BOLD],
  ['mathbb', { A: 0x1d538, a: 0x1d552, 0: 0x1d7d8, was: pairs('C=ℂ H=ℍ N=ℕ P=ℙ Q=ℚ R=ℝ Z=ℤ') }],
  ['mathcal', SCRIPT], ['mathscr', SCRIPT],
  ['mathfrak', { A: 0x1d504, a: 0x1d51e, was: pairs('C=ℭ H=ℌ I=ℑ R=ℜ Z=ℨ') }],
  ['mathsf', { A: 0x1d5a0, a: 0x1d5ba, 0: 0x1d7e2 }], ['mathtt', { A: 0x1d670, a: 0x1d68a, 0: 0x1d7f6 }],
]);
const PLAIN_FACES = names('mathrm mathit mathnormal');
const TEXTS = names('text textrm textit textsf texttt mbox');

class NotKnown extends Error {}
function fail(what) { throw new NotKnown(what); }

function m(tag, props, ...children) {
  const el = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(props)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}
const row = (children) => (children.length === 1 ? children[0] : m('mrow', {}, ...children));
const upright = (text) => m('mi', { mathvariant: 'normal' }, text);
const letter = (text) => (/^[A-Za-zα-ωϑϕϖϱϵıȷ]$/.test(text) ? m('mi', {}, text) : upright(text));
const sign = (text, props = {}) => m('mo', props, text);
const fence = (text, stretchy) => sign(text, { stretchy: String(stretchy), fence: 'true' });

function faced(text, face) {
  return [...text].map((char) => {
    const first = /[A-Z]/.test(char) ? 'A' : /[a-z]/.test(char) ? 'a' : /[0-9]/.test(char) ? '0' : null;
    if (face.was?.has(char)) return face.was.get(char);
    return first && face[first] ? String.fromCodePoint(face[first] + char.charCodeAt(0) - first.charCodeAt(0)) : char;
  }).join('');
}

// The node of a formula. `limits` marks what carries its indices above and below.
function read(source, display) {
  let at = 0;
  let depth = 0;
  const limits = new WeakSet();

  const skip = () => { while (/\s/.test(source[at] || '')) at += 1; };
  const peek = (text) => (text[0] === '\\' ? command() === text.slice(1) : source.startsWith(text, at));
  const take = (text) => peek(text) && Boolean(at += text.length);
  const command = () => /^\\(?:[a-zA-Z]+|[^a-zA-Z])/.exec(source.slice(at, at + 40))?.[0].slice(1) ?? null;

  // Everything up to one of the ends, which is left standing.
  function until(...ends) {
    const out = [];
    if ((depth += 1) > MOST_DEPTH) fail('depth');
    for (skip(); at < source.length && !ends.some(peek); skip()) out.push(...item());
    depth -= 1;
    return out;
  }

  function argument() {
    skip();
    if (take('{')) {
      const inside = until('}');
      return take('}') ? row(inside) : fail('}');
    }
    return /\d/.test(source[at] || '') ? m('mn', {}, source[at++]) : row(atom());
  }

  // The words in braces, as they stand; a letter needs none.
  function words() {
    skip();
    const [whole, inside = whole] = /^\{([^{}\\$]*)\}|^[A-Za-z0-9]/.exec(source.slice(at)) || fail('words');
    at += whole.length;
    return inside;
  }

  // An atom with its indices.
  function item() {
    const base = atom();
    const last = base.pop();
    let [below, above] = [null, null];
    for (skip(); /[\^_']/.test(source[at] || '') || /^\\(?:no)?limits(?![a-z])/i.test(source.slice(at, at + 10)); skip()) {
      if (take('_')) below = below ? fail('_') : argument();
      else if (take('^')) above = above?.primes ? row([above, argument()]) : above ? fail('^') : argument();
      else if (source[at] === "'") above = above ? fail("'") : primes();
      else at += command().length + 1;
    }
    if (!last && !below && !above) return base;
    const body = last || m('mrow', {});
    const tags = limits.has(body) ? ['munder', 'mover', 'munderover'] : ['msub', 'msup', 'msubsup'];
    if (!below && !above) return [...base, body];
    return [...base, m(tags[below && above ? 2 : above ? 1 : 0], {}, body, ...[below, above].filter(Boolean))];
  }

  function primes() {
    const [all] = /^'+/.exec(source.slice(at));
    at += all.length;
    return Object.assign(sign('′'.repeat(all.length)), { primes: true });
  }

  function atom() {
    skip();
    const char = String.fromCodePoint(source.codePointAt(at) ?? fail('end'));
    if (char === '\\') return named(command() ?? fail('\\'));
    if (char === '{') return [argument()];
    if ('}&$#%'.includes(char)) fail(char);
    if ('^_'.includes(char)) return [];
    const number = /^\d+(?:[.,]\d+)*/.exec(source.slice(at));
    at += number ? number[0].length : char.length;
    if (number) return [m('mn', {}, number[0])];
    if (char === '~') return [m('mspace', { width: '.25em' })];
    if (/\p{L}/u.test(char)) return [letter(char)];
    if ('()[]|'.includes(char)) return [fence(char, false)];
    return [sign({ '-': '−', '*': '∗' }[char] || char)];
  }

  function named(name) {
    at += name.length + 1;
    if (LETTERS.has(name)) return [letter(LETTERS.get(name))];
    if (SIGNS.has(name)) return [/[⟨⟩⌊⌋⌈⌉{}|‖[\]]/.test(SIGNS.get(name)) ? fence(SIGNS.get(name), false) : sign(SIGNS.get(name))];
    if (SPACES.has(name)) return [m('mspace', { width: SPACES.get(name) })];
    if (IGNORED.has(name)) return [];
    if (LARGE.has(name)) return [withLimits(sign(LARGE.get(name), { movablelimits: String(!display), largeop: 'true' }))];
    if (INTEGRALS.has(name)) return [sign(INTEGRALS.get(name), { largeop: 'true' })];
    if (FUNCTIONS.has(name)) return [sign(name, { form: 'prefix', lspace: '.1em', rspace: '.1em' })];
    if (LIMITS.has(name)) return [withLimits(sign(name.replace(/^(lim|arg)(?=.)/, '$1 '), { movablelimits: String(!display), form: 'prefix' }))];
    if (ACCENTS.has(name)) return [accented(name)];
    if (FACES.has(name)) return [upright(faced(words(), FACES.get(name)))];
    if (PLAIN_FACES.has(name)) return [/^\s*\{[^{}]*[\\^_]/.test(source.slice(at)) ? argument() : upright(words())];
    if (TEXTS.has(name)) return [m('mtext', {}, words().replace(/^ | $/g, '\u00a0'))];
    if (SIZES.test(name)) return [fence(delimiter(), false)];
    return Object.hasOwn(BUILDERS, name) ? BUILDERS[name]() : fail(name);
  }

  const withLimits = (node) => limits.add(node) && node;

  function accented(name) {
    const [tag, prop] = name.startsWith('under') ? ['munder', 'accentunder'] : ['mover', 'accent'];
    const node = m(tag, { [prop]: 'true' }, argument(), sign(ACCENTS.get(name), { stretchy: String(/^(?:wide|over|under)/.test(name)) }));
    return name.endsWith('brace') ? withLimits(node) : node;
  }

  function delimiter() {
    skip();
    const name = command();
    const char = name === null ? source[at] : SIGNS.get(name) ?? fail(name);
    at += name === null ? 1 : name.length + 1;
    if (!char || !'()[]{}|‖⟨⟩⌊⌋⌈⌉/.<>↑↓∣∥'.includes(char)) fail('delimiter');
    return { '.': '', '<': '⟨', '>': '⟩' }[char] ?? char;
  }

  const fraction = (props = {}) => m('mfrac', props, argument(), argument());
  const stacked = (tag) => [m(tag, {}, ...[argument(), argument()].reverse())];

  function table(environment) {
    const rows = [[]];
    for (;;) {
      rows.at(-1).push(m('mtd', {}, ...until('&', '\\\\', '\\end')));
      if (take('&')) continue;
      if (take('\\\\')) {
        at += /^\s*\[[^\]]*\]/.exec(source.slice(at))?.[0].length || 0;
        rows.push([]);
      } else if (take('\\end')) break;
      else fail(environment);
    }
    if (words() !== environment) fail('end');
    const filled = rows.filter((cells) => cells.length > 1 || cells[0]?.childNodes.length > 0);
    return m('mtable', { class: /^align|split/.test(environment) ? 'aligned' : environment.replace('*', ''), displaystyle: String(ALIGNED.has(environment)) }, ...filled.map((cells) => m('mtr', {}, ...cells)));
  }

  const BUILDERS = {
    frac: () => [fraction()], dfrac: () => [m('mstyle', { displaystyle: 'true' }, fraction())], tfrac: () => [m('mstyle', { displaystyle: 'false' }, fraction())], cfrac: () => [fraction()],
    binom: () => [row([fence('(', true), fraction({ linethickness: '0' }), fence(')', true)])],
    sqrt() {
      skip();
      if (!take('[')) return [m('msqrt', {}, argument())];
      const index = row(until(']'));
      return take(']') ? [m('mroot', {}, argument(), index)] : fail(']');
    },
    left() {
      const parts = [fence(delimiter(), true)];
      for (;;) {
        parts.push(...until('\\right', '\\middle'));
        const ends = !take('\\middle');
        if (ends && !take('\\right')) fail('left');
        parts.push(fence(delimiter(), true));
        if (ends) return [row(parts)];
      }
    },
    begin() {
      const name = words();
      if (ALIGNED.has(name)) return [table(name)];
      const [open, close] = ENDS.get(name) || fail(name);
      if (name === 'array') words();
      return [row([open && fence(open, true), table(name), close && fence(close, true)].filter(Boolean))];
    },
    operatorname: () => [sign((take('*'), words()), { form: 'prefix', lspace: '.1em', rspace: '.1em' })],
    overset: () => stacked('mover'), stackrel: () => stacked('mover'), underset: () => stacked('munder'),
    xrightarrow: () => [m('mover', {}, sign('→', { stretchy: 'true' }), argument())],
    not: () => [sign(`${atom()[0].textContent}\u0338`)], boxed: () => [m('mrow', { class: 'boxed' }, argument())],
    pmod: () => [m('mspace', { width: '.5em' }), sign('('), letter('mod'), m('mspace', { width: '.25em' }), argument(), sign(')')],
    bmod: () => [sign('mod', { lspace: '.25em', rspace: '.25em' })],
    tag: () => [m('mspace', { width: '2em' }), m('mtext', {}, `(${words()})`)],
  };

  const all = until();
  return all.length > 0 ? row(all) : fail('nothing');
}

// The <math> of a formula, or null where it has something that is not known here.
export function mathNode(source, display) {
  if (source.length > MOST_CHARS) return null;
  try {
    const body = read(source, display);
    return m('math', display ? { display: 'block' } : {}, m('semantics', {}, body, m('annotation', { encoding: 'application/x-tex' }, source)));
  } catch (error) {
    if (error instanceof NotKnown) return null;
    throw error;
  }
}
