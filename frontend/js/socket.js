// One WebSocket that stays: backoff with jitter, a watch on silence, and an instant retry when the
// network or the tab comes back. It knows nothing of what the frames mean.

const SILENCE_MS = 60_000; // the server speaks at least every 25 s
const PROBE_MS = 8_000;
const BACKOFF_MS = [400, 800, 1_600, 3_200, 6_400, 12_000];
const LOGIN_ENDED = 4401;

// address(): URL of the next attempt. onFrame(frame), onState('connecting' | 'online' | 'offline'),
// onRefused(): an attempt ended before the server said anything. onLoginEnded().
export function connect({ address, onFrame, onState, onRefused, onLoginEnded }) {
  let socket = null;
  let attempt = 0;
  let closed = false;
  let heard = 0;
  let retryTimer = 0;

  function open() {
    clearTimeout(retryTimer);
    if (closed) return;
    const mine = new WebSocket(address());
    let greeted = false;
    socket = mine;
    heard = Date.now();
    mine.onmessage = (event) => {
      if (mine !== socket) return;
      heard = Date.now();
      const frame = parse(event.data);
      if (!frame) return;
      if (!greeted && frame.type === 'hello') {
        greeted = true;
        attempt = 0;
        onState('online');
      }
      onFrame(frame);
    };
    mine.onclose = (event) => {
      if (mine !== socket || closed) return;
      socket = null;
      if (event.code === LOGIN_ENDED) {
        close();
        onLoginEnded();
        return;
      }
      if (!greeted) onRefused();
      retryLater();
    };
  }

  function retryLater() {
    onState(attempt > 1 ? 'offline' : 'connecting');
    const wait = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)];
    attempt += 1;
    clearTimeout(retryTimer);
    retryTimer = setTimeout(open, wait * (0.7 + Math.random() * 0.6));
  }

  // The old socket may take minutes to notice that its network is gone: leave it behind.
  function renew() {
    const old = socket;
    socket = null;
    if (old) old.close();
    retryLater();
  }

  function retryNow() {
    if (closed) return;
    if (!socket) {
      attempt = 0;
      open();
    } else {
      probe();
    }
  }

  function probe() {
    const asked = Date.now();
    if (!send({ type: 'ping' })) return;
    const mine = socket;
    setTimeout(() => {
      if (mine === socket && !closed && heard < asked) renew();
    }, PROBE_MS);
  }

  function send(frame) {
    if (!socket || socket.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  function close() {
    closed = true;
    clearTimeout(retryTimer);
    clearInterval(watch);
    window.removeEventListener('online', retryNow);
    document.removeEventListener('visibilitychange', onVisible);
    if (socket) socket.close(1000);
    socket = null;
  }

  const watch = setInterval(() => {
    if (socket && Date.now() - heard > SILENCE_MS) renew();
  }, 5_000);
  const onVisible = () => {
    if (document.visibilityState === 'visible') retryNow();
  };
  window.addEventListener('online', retryNow);
  document.addEventListener('visibilitychange', onVisible);
  onState('connecting');
  open();
  return { send, close };
}

function parse(data) {
  try {
    const frame = JSON.parse(data);
    return frame && typeof frame.type === 'string' ? frame : null;
  } catch {
    return null;
  }
}
