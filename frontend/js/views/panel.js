// Her panel: how she is, which voice speaks and who chose it, a nudge, and how her mood went.

import { api } from '../api.js';
import { clock, dayName, h, iconButton, setText, setTint } from '../dom.js';
import { personaOf } from './header.js';
import { say } from './notices.js';

export function createPanel(store, chat, { close }) {
  const { state } = store;
  const now = h('p', { class: 'panel-now' });
  const voices = h('div', { class: 'voices', role: 'radiogroup', 'aria-labelledby': 'voices-title' });
  const field = h('input', {
    id: 'nudge', type: 'text', maxlength: '200', autocomplete: 'off', placeholder: 'softer today', testid: 'mood-nudge',
  });
  const timeline = h('ol', { class: 'moods', testid: 'mood-timeline' });
  const rehearsal = h('section', { class: 'panel-rehearsal', hidden: true },
    h('h3', {}, 'This is a rehearsal'),
    h('p', {}, 'No model is connected. A scripted stand-in answers, so that you can try everything else.'),
    connectNote());
  const el = h('aside', { class: 'panel', role: 'dialog', 'aria-labelledby': 'panel-title', testid: 'panel' },
    h('div', { class: 'panel-top' }, h('h2', { id: 'panel-title' }, 'How she is'), iconButton('close', 'Close', { onclick: close })),
    now,
    rehearsal,
    h('h3', { id: 'voices-title' }, 'Her voice'),
    voices,
    h('form', { class: 'nudge', onsubmit: nudge },
      h('label', { for: 'nudge' }, 'Nudge her mood'),
      h('div', { class: 'nudge-row' }, field, h('button', { type: 'submit', class: 'quiet', testid: 'mood-nudge-submit' }, 'Tell her'))),
    h('h3', {}, 'Lately'),
    timeline);

  function nudge(event) {
    event.preventDefault();
    const mood = field.value.trim();
    if (!mood || !chat.nudge(mood)) return;
    field.value = '';
    say('She was told.');
  }

  function voice(persona, chosen) {
    const button = h('button', {
      type: 'button', class: 'voice', role: 'radio', 'aria-checked': String(chosen),
      testid: persona.name === null ? 'persona-release' : `persona-${persona.name}`,
      onclick: () => chat.pin(persona.name),
    },
    h('span', { class: 'voice-dot', 'aria-hidden': 'true' }),
    h('span', { class: 'voice-words' }, h('span', { class: 'voice-title' }, persona.title || persona.name), h('span', { class: 'voice-text' }, persona.description || '')));
    setTint(button, persona.colour);
    return button;
  }

  function drawVoices() {
    const { session } = state;
    const pinned = session?.pinned_persona || null;
    const current = personaOf(state, session?.persona);
    const held = voices.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
    voices.replaceChildren(
      voice({ name: null, title: 'Let her choose', description: pinned ? 'Hand the choice back to her.' : `She chose ${current?.title || 'her own voice'}.`, colour: current?.colour }, !pinned),
      ...state.personas.map((persona) => voice(persona, persona.name === pinned)));
    if (held) voices.querySelector(`[data-testid="${CSS.escape(held)}"]`)?.focus();
    setText(now, session?.mood ? `${session.mood}${state.moodCause ? `: ${state.moodCause}` : ''}` : 'No mood to speak of yet.');
  }

  // Arrow keys move among the voices, as in any group of radio buttons; choosing stays a keypress.
  voices.addEventListener('keydown', (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...voices.children];
    all[(all.indexOf(document.activeElement) + step + all.length) % all.length]?.focus();
  });

  function drawMoods() {
    if (state.panel !== 'her') return;
    if (!state.moods) {
      chat.loadMoods().catch((problem) => say(problem.detail || problem.title));
      return;
    }
    const newestFirst = state.moods.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
    timeline.replaceChildren(...newestFirst.map((entry) => {
      const item = h('li', {},
        h('span', { class: 'mood-word' }, entry.mood),
        entry.cause ? h('span', { class: 'mood-cause' }, entry.cause) : null,
        h('time', { datetime: entry.created_at }, `${dayName(entry.created_at)}, ${clock(entry.created_at)}`));
      setTint(item, personaOf(state, entry.persona)?.colour);
      return item;
    }));
    if (newestFirst.length === 0) timeline.append(h('li', { class: 'moods-none' }, 'Nothing yet. Moods come with what is said.'));
  }

  // Overlays are files that may change while the page is open.
  async function opened() {
    rehearsal.hidden = !state.rehearsal;
    if (state.panel !== 'her') return;
    drawMoods();
    try {
      state.personas = (await api.personas()).personas;
      store.touch('personas');
    } catch {
      // The ones known stay.
    }
  }

  store.on(['session', 'personas'], drawVoices);
  store.on(['moods'], drawMoods);
  store.on(['panel', 'health'], opened);
  return el;
}

export function connectNote() {
  return h('p', { class: 'connect-note' },
    'To connect one, set ', h('code', {}, 'OPENAI_API_KEY'), ', or ', h('code', {}, 'OPENAI_BASE_URL'),
    ' for a local server such as Ollama, in her ', h('code', {}, '.env'), ' and start her again.');
}
