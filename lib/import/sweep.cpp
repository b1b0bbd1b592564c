// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/sweep.h"

#include <bit>
#include <tuple>

namespace synward {
namespace {

// What both sides say where the walk is.
struct Region {
    AddressNumber last = ~AddressNumber(0);
    std::uint32_t rule = ~0U;  // the first that matches
    bool rule_drops = false;
    bool expires = false;     // something that said so
    std::uint64_t found = 0;  // a bit for each set that has an entry, of its entries the narrowest
    std::uint64_t drops = 0;  // and for each whose entry drops

    void meet(const SweepItem& item) {
        if (item.kind == SweepItem::Kind::rule) {
            if (item.rank >= rule) return;
            rule = item.rank;
            rule_drops = item.drop;
            return;
        }
        const std::uint64_t set = std::uint64_t{1} << item.rank;
        found = item.kind == SweepItem::Kind::entry ? found | set : found & ~set;
        drops = item.drop ? drops | set : drops & ~set;
    }
    // The first set with an entry decides.
    [[nodiscard]] bool differs() const {
        const bool sets_drop = found != 0 && (drops >> std::countr_zero(found) & 1) != 0;
        return rule_drops != sets_drop;
    }
};

// Prefixes that contain the place, the widest first.
class Surroundings {
  public:
    Surroundings(const Block& window, bool policy) {
        Region none;
        none.last = window.last();
        none.rule_drops = policy;
        regions_.push_back(none);
    }
    [[nodiscard]] bool nested() const { return !items_.empty(); }
    [[nodiscard]] AddressNumber last() const { return regions_.back().last; }

    void enter(const SweepItem& item) {
        Region region = regions_.back();
        region.last = item.source.last();
        region.expires |= item.timeout != 0;
        region.meet(item);
        regions_.push_back(region);
        items_.push_back(&item);
    }
    void leave() {
        regions_.pop_back();
        items_.pop_back();
    }
    // After how many seconds both sides differ here, if ever: now, or when something has expired.
    [[nodiscard]] std::optional<std::uint32_t> differs() const {
        if (regions_.back().differs()) return 0;
        if (!regions_.back().expires) return std::nullopt;
        for (const SweepItem* gone : items_)
            if (gone->timeout != 0 && differs_after(gone->timeout)) return gone->timeout;
        return std::nullopt;
    }

  private:
    [[nodiscard]] bool differs_after(std::uint32_t seconds) const {
        Region region = regions_.front();
        for (const SweepItem* item : items_)
            if (item->timeout == 0 || item->timeout > seconds) region.meet(*item);
        return region.differs();
    }

    std::vector<Region> regions_;
    std::vector<const SweepItem*> items_;  // one fewer
};

}  // namespace

bool sweeps_before(const SweepItem& a, const SweepItem& b) {
    return a.source < b.source;
}

bool sweeps_in_order(const SweepItem& a, const SweepItem& b) {
    return std::tie(a.source, a.kind, a.rank, a.drop, a.timeout) <
           std::tie(b.source, b.kind, b.rank, b.drop, b.timeout);
}

std::optional<SweepDifference> sweep_regions(const std::vector<SweepItem>& items, const Block& window,
                                             bool policy, std::size_t& regions) {
    Surroundings open(window, policy);
    std::optional<SweepDifference> difference;
    const auto compare = [&](AddressNumber at) {
        regions++;
        if (difference) return;
        if (const auto after = open.differs()) difference = {at, *after};
    };
    // Prefixes that end before `end`; each leaves a region behind it, unless something ends or begins there.
    const auto close = [&](AddressNumber end, bool all) {
        while (open.nested() && (all || open.last() < end)) {
            const AddressNumber last = open.last();
            open.leave();
            if (open.last() == last) continue;
            if (all || last + 1 < end) compare(last + 1);
        }
    };
    if (items.empty() || items[0].source.first != window.first) compare(window.first);
    for (std::size_t i = 0; i < items.size(); i++) {
        close(items[i].source.first, false);
        open.enter(items[i]);
        if (i + 1 == items.size() || items[i + 1].source.first != items[i].source.first)
            compare(items[i].source.first);
    }
    close(0, true);
    return difference;
}

}  // namespace synward
