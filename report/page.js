"use strict";
// What the page does beyond being read: draw the charts in the page's own colours, show one account, find rows, and lay tables
// out as cards on a phone. Every number is in the tables already; without scripts only these are missing.
(() => {
	const all = (query, within = document) => [...within.querySelectorAll(query)];
	const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

	// As report/units.go says it.
	const bytes = n => {
		let unit = -1;
		for (; Math.abs(n) >= 999.5; n /= 1000) unit++;
		return unit < 0 ? n + " B" : +n.toPrecision(3) + " " + "kMGTPE"[unit] + "B";
	};
	const money = unit => n => n.toLocaleString("en", { maximumFractionDigits: Math.abs(n) < 1 ? 4 : 2 }) + " " + unit;

	// A chart is drawn when its scope is first seen: what is hidden has no size.
	const drawn = new Map();
	const draw = figure => {
		if (!window.echarts) return;
		const option = JSON.parse(figure.querySelector("script").textContent);
		const say = figure.dataset.unit === "bytes" ? bytes : money(figure.dataset.unit);
		const soft = colour("--soft"), line = colour("--line"), card = colour("--card"), ink = colour("--ink");
		const font = getComputedStyle(document.documentElement).fontFamily;
		option.textStyle = { fontFamily: font };
		option.color = option.series.map((s, i) => colour(option.series.length > 1 ? "--c" + Math.min(i, 6) : "--accent"));
		option.series.forEach((s, i) => Object.assign(s, {
			barCategoryGap: "22%", itemStyle: { borderColor: card, borderWidth: option.series.length > 1 ? 0.5 : 0 }, emphasis: { disabled: true },
			data: shown(s.name, option.series) ? s.data : [],
		}));
		const axis = { axisLine: { lineStyle: { color: line } } };
		for (const x of option.xAxis) Object.assign(x, axis, { axisLabel: { color: soft, hideOverlap: true, formatter: day => day.slice(5) } });
		for (const y of option.yAxis) Object.assign(y, { splitNumber: 4, splitLine: { lineStyle: { color: line } }, axisLabel: { color: soft, formatter: say } });
		Object.assign(option.tooltip, {
			valueFormatter: say, order: "seriesDesc", confine: true, backgroundColor: card, borderColor: line, textStyle: { color: ink, fontSize: 13 },
			axisPointer: { type: "shadow", shadowStyle: { color: ink, opacity: 0.06 } },
		});
		let chart = drawn.get(figure);
		if (!chart) drawn.set(figure, chart = echarts.init(figure.querySelector(".drawing"), null, { renderer: "svg" }));
		chart.setOption(option, true);
		fit(figure);
	};
	// On paper the drawing only changes its colours, and is scaled as the picture that it is: its place is measured too late there.
	const paper = matchMedia("print");
	const fit = figure => {
		const chart = drawn.get(figure);
		if (!chart || paper.matches) return;
		chart.resize();
		figure.querySelector("svg").setAttribute("viewBox", "0 0 " + chart.getWidth() + " " + chart.getHeight());
	};
	const visible = () => all(".scope:not([hidden]) .chart");
	const redraw = () => visible().forEach(draw);

	// What is looked for hides the rows that do not have it; of a chart's countries, if it is one of them, the others.
	const find = document.getElementById("find"), account = document.getElementById("account");
	const words = () => find.value.trim().toLowerCase();
	const shown = (name, series) => {
		const hit = s => s.toLowerCase().includes(words());
		return !words() || hit(name) || !series.some(s => hit(s.name));
	};
	const search = () => {
		let hits = 0;
		for (const row of all("table.find tbody tr")) {
			row.hidden = !(row.textContent + " " + row.dataset.find).toLowerCase().includes(words());
			if (!row.hidden && !row.closest(".scope").hidden) hits++;
		}
		document.getElementById("found").textContent = words() ? (hits === 1 ? "1 row" : hits + " rows") + " of what is listed here" : "";
	};
	const update = () => {
		if (account) all(".scope").forEach(s => { s.hidden = s.id !== account.value; });
		search();
		redraw();
	};

	// On a phone rows are cards, see page.css: each cell says what it is. A table that is laid out as something else has to say, too,
	// that it is one, to those who hear it.
	for (const table of all("table.find")) {
		const heads = all("thead th", table).map(head => head.textContent);
		table.classList.add("cards");
		table.setAttribute("role", "table");
		for (const part of all("thead, tbody", table)) part.setAttribute("role", "rowgroup");
		for (const row of all("tr", table)) {
			row.setAttribute("role", "row");
			[...row.cells].forEach((cell, i) => {
				cell.dataset.head = heads[i];
				cell.setAttribute("role", cell.tagName === "TD" ? "cell" : cell.scope === "row" ? "rowheader" : "columnheader");
			});
		}
	}

	if (!window.echarts) all(".chart").forEach(figure => {
		figure.classList.add("undrawn");
		all("details", figure).forEach(d => { d.open = true; });
	});
	document.querySelector(".filter").hidden = false;
	document.querySelector(".filter").addEventListener("submit", event => event.preventDefault());
	find.addEventListener("input", update);
	if (account) account.addEventListener("change", update);
	new ResizeObserver(() => visible().forEach(fit)).observe(document.querySelector("main"));
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
	paper.addEventListener("change", redraw);
	update();
})();
