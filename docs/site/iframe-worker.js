// The search runs in a worker, which a page opened as a file may not start. There, a script in a
// hidden frame replaces the worker; its messages are also copied and delivered asynchronously.
if (location.protocol === "file:") {
  const deliver = (target, data) => {
    const message = { data: structuredClone(data) };
    setTimeout(() => target.onmessage?.(message));
  };
  window.Worker = class {
    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => deliver(this, data);
      this.loaded = new Promise((resolve, reject) => {
        const script = inner.document.createElement("script");
        script.src = new URL(url, location.href).href;
        script.onload = () => resolve(inner);
        script.onerror = reject;
        inner.document.body.append(script);
      });
      this.loaded.catch((error) => this.onerror?.(error));
    }
    postMessage(data) {
      this.loaded.then((inner) => deliver(inner, data), () => {});
    }
    terminate() {
      this.frame.remove();
    }
  };
}
