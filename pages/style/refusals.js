// What a page does when its socket is refused. Runs before the framework creates the socket.
(() => {
  const KEY = "live-markets-opened-anew";
  /** The framework's words when this instance of the server has not built the page. It then loads the page again. */
  const BUILT_ELSEWHERE = "Implicit handshake failed";
  const TOLD_BY_THE_SERVER = [401, 403, 429];

  /** Whether the page may open itself anew: once, until a socket of it is accepted. */
  function mayOpenAnew() {
    try {
      const isFirst = sessionStorage.getItem(KEY) === null;
      sessionStorage.setItem(KEY, "yes");
      return isFirst;
    } catch {
      return false; // the browser forbids storage, and nothing else would end a loop
    }
  }

  function forget() {
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // without storage nothing is kept
    }
    document.querySelector(".refusal")?.remove();
  }

  function say(text) {
    if (document.querySelector(".refusal")) return;
    const notice = document.createElement("div");
    notice.className = "refusal";
    notice.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = text;
    const again = document.createElement("button");
    again.type = "button";
    again.className = "chip";
    again.textContent = "Open again";
    again.addEventListener("click", () => location.reload());
    notice.append(words, again);
    document.body.append(notice);
  }

  /** The text with which the server refused, if the answer is the server's own. */
  function answerOf(error) {
    const request = error.context;
    const isPlain = request?.getResponseHeader?.("content-type")?.startsWith("text/plain");
    return TOLD_BY_THE_SERVER.includes(error.description) && isPlain ? request.responseText.trim() : "";
  }

  function watch(socket) {
    let wasAccepted = false;
    let timeouts = 0; // since the page was last connected
    socket.on("connect", () => {
      wasAccepted = true;
      timeouts = 0;
      forget();
    });
    // Registered before the framework's own listener, which gets the same error.
    socket.on("connect_error", (error) => {
      if (error.message === "timeout" && wasAccepted) {
        timeouts += 1;
        // At first the framework tries another transport. The next time it would load the page again, and the browser
        // would put its own error page in place of the last values, which never tries to connect.
        if (timeouts > 1) error.message = "no answer in time";
      } else if (error.message === BUILT_ELSEWHERE) {
        if (mayOpenAnew()) return;
        error.message = "built by another instance"; // or the framework would load the page again, without end
        say(
          "This page was opened by one instance of the server, and another instance answers it." +
            " The balancer in front must be sticky: all requests of a browser must reach the same instance.",
        );
      } else if (error.description === 401 && wasAccepted) {
        location.reload(); // the session has ended: the server leads to the login
      } else {
        const answer = answerOf(error);
        if (answer) say(`The server refuses this page's connection: ${answer}`);
      }
    });
  }

  let present;
  Object.defineProperty(window, "socket", {
    configurable: true,
    get: () => present,
    set(socket) {
      present = socket;
      watch(socket);
    },
  });
})();
