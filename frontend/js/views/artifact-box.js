// What an artifact looks like, in a box: a frame of its own origin on a short-lived address, where its
// scripts reach nothing of Mira's.

import { address } from '../api.js';
import { h } from '../dom.js';
import { artifactApi } from '../work-api.js';
import { inWords } from './form.js';

export function createBox(host) {
  let shown = null;

  async function show({ id, name, version }) {
    const key = `${id} ${version}`;
    if (shown === key) return;
    shown = key;
    host.replaceChildren(h('p', { class: 'work-hint' }, 'Drawing…'));
    try {
      const link = await artifactApi.previewLink(id, version);
      if (shown !== key) return;
      host.replaceChildren(h('iframe', {
        class: 'preview-box', sandbox: 'allow-scripts', referrerpolicy: 'no-referrer', title: `Preview of ${name}`, testid: 'artifact-preview', src: address(link.url).href,
      }));
    } catch (problem) {
      if (shown !== key) return;
      shown = null;
      host.replaceChildren(h('p', { class: 'form-problem', role: 'alert' }, inWords(problem)),
        h('button', { type: 'button', class: 'quiet small', onclick: () => show({ id, name, version }) }, 'Try again'));
    }
  }

  return {
    show,
    clear() {
      shown = null;
      host.replaceChildren();
    },
  };
}
