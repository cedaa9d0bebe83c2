// How many SMS a text needs, as bot/notices/gsm7.py and templates.py count it; a test compares the two over samples.
"use strict";
const countingOf = (told) => {
  const basic = new Set(told.basic), extension = new Set(told.extension);
  const isBlank = (char) => char !== "\ufeff" && /[\s\x1c-\x1f\x85]/.test(char);

  // Without marks, on one line, only characters of one unit (and braces).
  const plain = (text) => {
    const bare = text.normalize("NFC").replace(/đ/g, "d").replace(/Đ/g, "D").normalize("NFD").replace(/\p{Mn}/gu, "");
    let out = "";
    for (const each of bare) {
      const char = told.neutral[each] ?? each;
      if (basic.has(char) || char === "{" || char === "}") out += char;
      else if (isBlank(char)) out += " ";
    }
    return out.split(/[\s\x1c-\x1f\x85]+/).filter(Boolean).join(" ");
  };

  const segments = (text) => {
    const chars = [...text];
    const gsm7 = chars.every((char) => basic.has(char) || extension.has(char));
    const sizes = chars.map((char) => (gsm7 ? (extension.has(char) ? 2 : 1) : char.codePointAt(0) > 0xffff ? 2 : 1));
    const [alone, part] = gsm7 ? [160, 153] : [70, 67];
    const units = sizes.reduce((sum, size) => sum + size, 0);
    let count = 1;
    if (units > alone) {
      let used = 0;
      for (const size of sizes) {
        if (used + size > part) { count += 1; used = 0; }
        used += size;
      }
    }
    return { encoding: gsm7 ? "gsm7" : "ucs2", units, count };
  };

  // With each field as long as it gets; a name that is no field stays as it is.
  const longest = (text) => segments(plain(text).replace(/\{([^{}]*)\}/g, (all, name) => told.longest[name] ?? all));
  return { plain, segments, longest };
};
window.motcuaCounting = countingOf;
