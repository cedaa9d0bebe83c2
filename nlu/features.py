"""What a message is made of for the linear models: folded words, pairs, sounds and letter groups."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nlu.normalize import sound

# Words that say nothing about which procedure is meant; pairs of two of them are left out too.
STOP = frozenset(
    """
    a ah ad oi da vay nhe ha nhi em anh chi minh toi chau con co chu bac ban nha thi ma la o va voi cho cua de
    duoc khong can gi nao sao the nay do kia day roi chua bao nhieu lau may ngay tien phi le xin hoi muon biet
    giup di den ve ra vao lai cung rang nhu khi neu hay hoac tai bi mot cac nhung nguoi ai dau lam phai thu tuc
    ho so giay to gom vui long cam on chao alo ben ay luon het moi mat bay gio hien ua uh dung
    """.split()
)
# Words of how, how much, where and when: with STOP, all that a question without a subject is made of.
ASKING = STOP | frozenset(
    """
    nop truc tuyen online mang mau don to khai doi cho noi co quan huong dan buoc quy trinh dieu kien doi tuong ket
    qua nhan luat nghi dinh thong tu can cu phap ly van phai mat ton dong gia mien ban loai thieu mang theo chuan
    thoi han gian truoc sau nua them het xong sang chieu mai hom nay thu tuan thang nam tuoi vneid app dau lam thi
    luon duoc hong ha ua u con cai viec vu tu dong khoan giam
    """.split()
)
# Words of asking and of politeness alone: what is left of a general name ("giấy tờ xe máy bao lâu xong") without them.
PLAIN = frozenset(
    """
    a ah ad oi da vay nhe ha nhi em anh chi minh toi chau con co chu bac ban nha thi ma la o va voi cho cua de duoc
    khong can gi nao sao the nay do day roi bao nhieu lau may ngay tien phi le muon biet giup di den ra vao cung nhu
    khi neu hay hoac tai cac nhung ai dau phai thu tuc ho so giay to gom vui long cam on chao alo luon het gio ua uh
    nop truc tuyen online mang mau don khai noi quan huong dan buoc quy trinh dieu kien xong hong hoi ve vu cai ben xin
    lam nhan ket qua theo dum gium ton
    """.split()
)
# With these too, nothing is said but what is asked: a question about the subject that is open.
SUBJECTLESS = PLAIN | frozenset(
    """
    giai quyet xu ly thoi han gian luat nghi dinh thong tu quy can cu phap theo nguoi khac thay truc tiep quay bua hom
    nhu cach lay tra xai dung co duoc chang gap mat dong nhieu 1 mot moi thang qua mang app dien thoai vneid gia moi
    thieu them nua nay kia quen lo sau dau het ha nghe bac dau tai nha chua lan gui buu tiec noi xem coi doi cho dau
    nho nhat bat tu dau di ha ta lien ngay nhanh cham cho
    """.split()
)
_PAIR = 1.25
_SOUND_WORD = 0.3
_SOUND_PAIR = 0.55
_GRAM = 4


def features(words: Sequence[str], kept: Collection[str] = ()) -> dict[str, float]:
    """The features of folded words with their weights (each counted once).

    ``kept`` are pairs that count although both words are stop words: names like "sổ đỏ".
    """
    found: dict[str, float] = {}
    sounds = [sound(word) for word in words]
    previous = previous_sound = ""
    for word, heard in zip(words, sounds, strict=True):
        stop = word in STOP
        if not stop:
            found[word] = 1.0
            found["~" + heard] = _SOUND_WORD
        if previous and (not (stop and previous in STOP) or f"{previous} {word}" in kept):
            found[previous + " " + word] = _PAIR
            found["~" + previous_sound + " " + heard] = _SOUND_PAIR
        previous, previous_sound = word, heard
    return found


def grams(words: Sequence[str]) -> list[str]:
    """Groups of four letters across the words, spaces as ``_``: what slips leave of a word."""
    line = "_" + "_".join(words) + "_"
    return ["#" + line[i : i + _GRAM] for i in range(len(line) - _GRAM + 1)]
