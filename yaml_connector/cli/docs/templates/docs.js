
for (const block of document.querySelectorAll(".code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const code = block.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  block.append(button);
}

// The search is made here, so that a page without JavaScript has no field that does nothing.
const entries = [...document.querySelectorAll("nav li")];
const articles = entries.map((entry) => document.getElementById(entry.firstElementChild.getAttribute("href").slice(1)));
const texts = articles.map((article) => article.textContent.toLowerCase());
const label = document.createElement("label");
label.className = "search";
label.textContent = "Search";
const field = document.createElement("input");
field.type = "search";
label.append(field);
const found = document.createElement("p");
found.className = "found";
found.setAttribute("role", "status");
const search = () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  articles.forEach((article, number) => {
    const matches = words.every((word) => texts[number].includes(word));
    article.hidden = entries[number].hidden = !matches;
    count += matches;
  });
  found.textContent = words.length ? `${count} of ${articles.length} ${articles.length === 1 ? "connector" : "connectors"}` : "";
  const main = document.querySelector("main");
  if (scrollY > main.offsetTop) main.scrollIntoView();
};
field.addEventListener("input", search);
addEventListener("hashchange", () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.closest("[hidden]")) {
    field.value = "";
    search();
    target.scrollIntoView();
  }
});
document.querySelector("#_contents").after(label, found);
