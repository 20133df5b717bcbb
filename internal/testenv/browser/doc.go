// Package browser drives a headless Chromium for tests, over the pipe of its DevTools protocol: JSON
// messages, each ended by a zero byte, to file descriptor 3 and from file descriptor 4 of the browser.
package browser
