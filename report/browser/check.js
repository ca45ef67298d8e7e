// Opens reports in a browser as a reader would, and looks at what only a browser knows: that charts draw, filters filter,
// nothing reaches for a network, text can be read in the dark, on a phone and on paper. check.sh runs it.
"use strict";
const { chromium } = require("playwright-core");
const path = require("path");

const [browserPath, pictures, ...files] = process.argv.slice(2);
const problems = [];
const hold = (what, ok) => { if (!ok) problems.push(what); };

// What runs in the page: how many marks each chart has, and text that is too pale for its ground.
const marks = () => [...document.querySelectorAll(".scope:not([hidden]) .drawing")].map(d => d.querySelectorAll("svg path[fill]:not([fill=none])").length);
const rows = () => [...document.querySelectorAll(".scope:not([hidden]) table.find tbody tr")].filter(r => !r.hidden).length;
const pale = () => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
	const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
	const found = new Set();
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(e.tagName) || !e.checkVisibility()) continue;
		const style = getComputedStyle(e), a = light(rgb(e.closest("svg") ? style.fill : style.color)), b = light(ground(e));
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) found.add(contrast.toFixed(2) + " " + e.tagName + "." + e.className + " " + walk.currentNode.data.trim().slice(0, 30));
	}
	return [...found];
};

// Tables with something that can be seen only by scrolling sideways; those that one has to unfold may have it.
const cutOff = () => [...document.querySelectorAll(".scope:not([hidden]) .wide")]
	.filter(w => !w.closest("details") && [...w.querySelectorAll("td, th")].some(c => c.checkVisibility() && c.getBoundingClientRect().right > w.getBoundingClientRect().right + 1))
	.map(w => w.getAttribute("aria-label"));

async function check(browser, file) {
	const name = path.basename(file, ".html");
	const page = await browser.newPage({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
	const told = what => problems.push(name + ": " + what);
	page.on("console", m => { if (["error", "warning"].includes(m.type())) told("console: " + m.text()); });
	page.on("pageerror", e => told("script: " + e.message));
	page.on("dialog", d => { told("a name was run as a script: " + d.message()); d.dismiss(); });
	page.on("request", r => { if (r.url() !== "file://" + path.resolve(file)) told("request: " + r.url()); });
	await page.goto("file://" + path.resolve(file));
	// Charts draw in the next frame, and the page may be told of its colours in one of its own.
	const settled = () => page.evaluate(() => new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 50)));
	const shot = async what => page.screenshot({ path: path.join(pictures, name + "-" + what + ".png"), fullPage: true });

	const full = await page.locator(".scope:not([hidden]) .nothing").count() === 0 || await page.locator(".chart").count() > 0;
	await settled();
	const before = await page.evaluate(marks), rowsBefore = await page.evaluate(rows);
	if (full) hold(name + ": charts are empty: " + before, before.length > 0 && before.every(n => n > 1));
	hold(name + ": no heading", await page.locator("h1").count() === 1 && await page.locator(".scope:not([hidden]) h2").count() > 0);
	hold(name + ": a chart without a label", await page.locator('.drawing:not([role="img"][aria-label])').count() === 0);
	for (const scheme of ["light", "dark"]) {
		await page.emulateMedia({ colorScheme: scheme });
		await settled();
		await page.evaluate(() => document.querySelectorAll("details").forEach(d => { d.open = true; }));
		for (const text of await page.evaluate(pale)) told("pale in the " + scheme + ": " + text);
		await page.evaluate(() => document.querySelectorAll("details").forEach(d => { d.open = false; }));
		await shot(scheme);
	}
	await page.emulateMedia({ colorScheme: "light" });

	await page.keyboard.press("Tab");
	hold(name + ": the first stop of Tab is not the way to the report", await page.evaluate(() => document.activeElement.className === "skip"));
	for (let i = 0; i < 4; i++) {
		if (await page.evaluate(() => document.activeElement === document.body)) break; // past the end of a short page
		const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth);
		hold(name + ": focus is not seen: " + outline, !outline.startsWith("none") && !outline.endsWith("0px"));
		await page.keyboard.press("Tab");
	}

	if (full) {
		const country = await page.locator('.scope:not([hidden]) [id$="-countries"] ~ .wide tbody tr').first().getAttribute("data-find");
		const title = await page.locator('.scope:not([hidden]) [id$="-countries"] ~ .wide tbody tr').first().locator("th").innerText();
		await page.fill("#find", title);
		await settled();
		const after = await page.evaluate(marks), rowsAfter = await page.evaluate(rows);
		hold(name + ": looking for " + title + " (" + country + ") leaves " + rowsAfter + " of " + rowsBefore + " rows", rowsAfter > 0 && (rowsAfter < rowsBefore || rowsBefore === 1));
		hold(name + ": looking for " + title + " leaves the chart as it was", before[0] > after[0] || rowsBefore <= 2);
		hold(name + ": the number of rows is not told", (await page.locator("#found").innerText()).startsWith(String(rowsAfter)));
		await shot("found");
		await page.fill("#find", "");
		hold(name + ": rows are gone for good", await page.evaluate(rows) === rowsBefore);
		await page.locator(".scope:not([hidden]) .drawing").first().hover();
		await settled();
		await shot("tip");
		await page.mouse.move(0, 0);
	}
	if (await page.locator("#account").count() > 0) {
		await page.selectOption("#account", { index: 1 });
		await settled();
		hold(name + ": one account is not shown alone", await page.locator(".scope:not([hidden])").count() === 1 && await page.locator("#s1").isVisible());
		hold(name + ": charts of one account are empty", (await page.evaluate(marks)).every(n => n > 1));
		await shot("account");
		await page.selectOption("#account", { index: 0 });
	}

	await page.setViewportSize({ width: 390, height: 844 });
	await settled();
	hold(name + ": wider than a phone", await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
	for (const table of await page.evaluate(cutOff)) told("cut off on a phone: " + table);
	await shot("phone");
	await page.setViewportSize({ width: 1200, height: 900 });
	await page.emulateMedia({ colorScheme: "dark", media: "print" });
	await page.setViewportSize({ width: 700, height: 900 });
	await settled();
	hold(name + ": a chart is cut off on paper", await page.evaluate(() => [...document.querySelectorAll(".scope:not([hidden]) .drawing svg")].every(s =>
		s.getBoundingClientRect().width <= s.closest("figure").getBoundingClientRect().width + 1)));
	hold(name + ": paper is dark", await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--card").trim() === "#fff"));
	await page.pdf({ path: path.join(pictures, name + ".pdf"), format: "A4", margin: { top: "15mm", bottom: "15mm", left: "15mm", right: "15mm" } });
	await page.close();

	const still = await browser.newPage({ javaScriptEnabled: false });
	await still.goto("file://" + path.resolve(file));
	hold(name + ": nothing to read without scripts", await still.locator("main section").count() > 0);
	await still.close();
}

(async () => {
	const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-gpu"] });
	try {
		for (const file of files) await check(browser, file);
	} finally {
		await browser.close();
	}
	for (const p of problems) console.error(p);
	console.log(`${files.length} pages looked at, ${problems.length} problems; pictures in ${pictures}`);
	process.exit(problems.length ? 1 : 0);
})();
